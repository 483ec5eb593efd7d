"""Cases that a mapping leads to the labels of the active version are decided with these labels."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from predictions.exceptions import RequestRejected
from review.bulk import cases_plan
from review.case_labels import labels_of
from review.decisions import DecisionRequest, case_decide
from review.label_reopening import cases_return
from review.models import Case, Decision, LabelMapping
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import page, send, send_json, url
from review.tests.label_versions import install, mapped
from review.undoing import undo_last
from worker.inference.repository import ModelVersion, Repository

pytestmark = pytest.mark.django_db

TOP = [["circle", 0.876], ["square", 0.124], ["cross", 0.0], ["polygon", 0.0]]


@pytest.fixture
def old(repository: Repository) -> ModelVersion:
    version = install(repository, "shapes", "1 circle", "2 square", "3 cross", "4 polygon")
    return repository.activate(str(version))


@pytest.fixture
def new(repository: Repository, old: ModelVersion) -> ModelVersion:
    """A version that is not active yet, with a mapping from the old one."""
    new = install(repository, "shapes", "4 polygon", "5 disc", "6 oval", "7 box")
    mapped(old, new, "split circle disc oval", "rename square box", "drop cross")
    return new


def _open(said: str = "circle", **changes: Any) -> Case:
    top = sorted(TOP, key=lambda entry: entry[0] != said)
    answer: dict[str, Any] = {"label": said, "statements": 0, "model_version": "shapes@1", "top": top}
    return open_case(**answer | changes)


def _decide(case: Case, kind: str, label: str = "", **options: Any) -> Case:
    verdict = DecisionRequest(kind, label, may_propose=kind != "corrected")
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=verdict, **options)
    return Case.objects.get(pk=case.pk)


def _buttons(text: str) -> list[tuple[str, str]]:
    return re.findall(r'name="label" value="([^"]+)" ?data-key="(.)"', text)


@pytest.mark.parametrize(
    ("said", "kind", "label", "verdict", "decided"),
    [
        ("circle", "corrected", "disc", "corrected", "disc"),
        ("square", "right", "", "right", "box"),
        ("square", "corrected", "square", "right", "box"),
        ("polygon", "corrected", "polygon", "right", "polygon"),
        ("square", "no-label", "unicorn", "no-label", ""),
    ],
)
def test_open_case_is_decided_with_the_labels_of_the_active_version(
    repository: Repository, new: ModelVersion, said: str, kind: str, label: str, verdict: str, decided: str
) -> None:
    case = _open(said)
    repository.activate(str(new))
    case = _decide(case, kind, label)
    assert (case.verdict, case.label) == (verdict, decided)
    assert case.label_set is not None and case.label_set.versions == [str(new)]
    assert cases_return(new) == 0


@pytest.mark.parametrize(
    ("said", "kind", "label", "code", "message"),
    [
        ("cross", "right", "", "label-changed", "The label “cross” was dropped. Which label is it now?"),
        ("square", "corrected", "cross", "label-changed", "The label “cross” was dropped. Which label is it now?"),
        ("circle", "right", "", "label-changed", "The label “circle” was split into “disc” and “oval”."),
        ("circle", "corrected", "hexagon", "unknown-label", "We have no label “hexagon”."),
    ],
)
def test_rejects_labels_that_the_active_version_does_not_have(
    repository: Repository, new: ModelVersion, said: str, kind: str, label: str, code: str, message: str
) -> None:
    case = _open(said)
    repository.activate(str(new))
    with pytest.raises(RequestRejected, match=message) as rejected:
        _decide(case, kind, label)
    assert rejected.value.code == code
    assert Case.objects.get(pk=case.pk).state == "open"


@pytest.mark.parametrize("kind", ["corrected", "no-label"])
def test_rejects_a_page_with_the_labels_of_another_version(
    reviewer: Client, repository: Repository, new: ModelVersion, kind: str
) -> None:
    case = _open()
    for earlier, active in (("", new), (str(new), repository.get("shapes@1"))):
        repository.activate(str(active))
        answer = send_json(reviewer, case, verdict=kind, label="disc", seen_labels=earlier)
        assert (answer.status_code, answer.json()["code"]) == (409, "changed")
        shown = page(reviewer, url(case))
        assert f'name="seen_labels" value="{new if active == new else ""}"' in shown


@pytest.mark.parametrize("word", ["crane", "Bird"])
def test_word_of_several_labels_is_no_proposal(reviewer: Client, repository: Repository, word: str) -> None:
    """Neither for a case of the version that answers now, nor for one of an earlier version with other labels."""
    old = install(repository, "birds", "1 heron", "2 egret")
    active = install(repository, "birds", "1 heron", "3 crane, bird", "4 crane, bird")
    mapped(old, active, "rename egret heron")
    repository.activate(str(active))
    for version in ("birds@1", "birds@2"):
        case = open_case(label="heron", statements=0, model_version=version, top=[["heron", 0.9]])
        answer = send_json(reviewer, case, verdict="corrected", label=word).json()
        assert answer["message"] == f"“{word}” may be “crane (3)” or “crane (4)”. Please choose one of them."
        assert Case.objects.get(pk=case.pk).state == "open"


def test_label_that_keeps_its_name_after_a_split_has_to_be_chosen(repository: Repository, old: ModelVersion) -> None:
    new = install(repository, "shapes", "1 circle", "6 oval")
    mapped(old, new, "split circle circle oval", "drop square", "drop cross", "drop polygon")
    case, other = _open(), _open("polygon", expected="circle", statements=1)
    repository.activate(str(new))
    for rejected, kind in ((case, "right"), (other, "accept")):
        with pytest.raises(RequestRejected, match="was split into “circle” and “oval”"):
            _decide(rejected, kind)
    assert _decide(case, "corrected", "circle").label == "circle"


def test_without_a_mapping_the_labels_are_those_of_the_version_that_answered(
    reviewer: Client, repository: Repository, new: ModelVersion
) -> None:
    LabelMapping.objects.all().delete()
    case = _open("cross")
    repository.activate(str(new))
    text = page(reviewer, url(case))
    assert "data-prediction" in text and "Labels have changed" not in text
    assert _buttons(text)[0] == ("cross", "1")
    assert _decide(case, "right").label == "cross"


def test_mapping_to_an_earlier_version_counts_if_ids_lead_on(repository: Repository, new: ModelVersion) -> None:
    newest = install(repository, "shapes", "4 polygon", "5 disc", "6 oval", "7 box", "8 star")
    case = _open()
    repository.activate(str(newest))
    assert labels_of(case).match("star") == "star"
    assert [labels_of(case).meaning(word).became for word in ("circle", "cross")] == [("disc", "oval"), ()]


def test_case_of_a_later_version_is_decided_with_the_earlier_labels_after_a_rollback(
    repository: Repository, old: ModelVersion, new: ModelVersion
) -> None:
    case = _open("box", model_version=str(new), top=[["box", 0.9], ["disc", 0.1]])
    assert _decide(case, "right").label == "square"
    assert labels_of(Case.objects.get(pk=case.pk)).match("disc") is None


def test_undo_takes_the_label_set_back(repository: Repository, old: ModelVersion, new: ModelVersion) -> None:
    case = _open()
    repository.activate(str(new))
    assert _decide(case, "corrected", "disc").label_set is not None
    undo_last(reviewer_named())
    case = Case.objects.get(pk=case.pk)
    assert (case.state, case.label_set) == ("open", None)
    repository.activate(str(old))
    assert _decide(case, "right").label == "circle"


def test_retry_of_a_decision_with_the_earlier_labels_returns_it(repository: Repository, new: ModelVersion) -> None:
    case, key = _open("square"), uuid4()
    _decide(case, "corrected", "circle", key=key)
    repository.activate(str(new))
    _decide(case, "corrected", "circle", key=key)
    assert [(row.kind, row.label) for row in Decision.objects.all()] == [("corrected", "circle")]


def test_many_cases_accept_only_what_is_one_label_now(
    repository: Repository, new: ModelVersion, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    expected = ("square", "circle", "cross") * 3
    cases = [_open("polygon", expected=label, statements=1) for label in expected]
    repository.activate(str(new))
    verdict, ada = DecisionRequest("accept"), reviewer_named()
    with django_assert_max_num_queries(6):
        plans = cases_plan(case_ids=[case.pk for case in cases], reviewer=ada, verdict=verdict)
    assert [plan.after or plan.problem for plan in plans[:3]] == [
        "Corrected: box",
        "The label “circle” was split into “disc” and “oval”. Which label is it now?",
        "The label “cross” was dropped. Which label is it now?",
    ]


def test_page_offers_what_the_answer_was_split_into(
    reviewer: Client, repository: Repository, new: ModelVersion
) -> None:
    case = _open()
    repository.activate(str(new))
    text = page(reviewer, url(case))
    assert "Labels have changed since shapes@1 answered." in text and "data-prediction" not in text
    assert _buttons(text) == [("disc", "1"), ("oval", "2"), ("box", "3"), ("polygon", "4")]
    gone = re.findall(r'<li class="choice gone"><span class="label">(\w+) <span class="quiet">(.*?)</span>', text)
    assert gone == [("circle", "no longer one label"), ("cross", "no longer a label")]
    assert text.index("no longer one label") < text.index("87.6") < text.index('value="disc"') < text.index("12.4")
    assert "The model was right: " not in text
    assert '<option value="circle">' not in text and '<option value="oval">' in text
    assert send_json(reviewer, case, label="circle").json()["code"] == "label-changed"
    assert send(reviewer, case, label="oval").status_code == 303
    assert Case.objects.get(pk=case.pk).label == "oval"


def test_page_takes_two_more_queries_after_a_change_of_labels(
    reviewer: Client, repository: Repository, new: ModelVersion, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    case = _open(expected="square", statements=2)
    address = url(case)
    repository.activate(str(new))
    page(reviewer, address)  # reads the labels and the mapping, once in each process
    with django_assert_max_num_queries(14):
        page(reviewer, address)


def test_page_names_expected_labels_that_are_gone(reviewer: Client, repository: Repository, new: ModelVersion) -> None:
    case = _open("square", expected="circle", statements=2, top=[["square", 0.9], ["polygon", 0.1]])
    dropped = _open("square", expected="cross", statements=1, top=[["square", 0.9], ["polygon", 0.1]])
    repository.activate(str(new))
    text = page(reviewer, url(case))
    assert "2 people expect “circle”. The label “circle” was split into “disc” and “oval”." in text
    assert _buttons(text) == [("box", "1"), ("polygon", "2"), ("disc", "3"), ("oval", "4")]
    text = page(reviewer, url(dropped))
    assert "One person expects “cross”. The label “cross” was dropped." in text
    assert "Accept “" not in text and "cross ×" not in text


def test_only_nine_labels_have_a_key(reviewer: Client, repository: Repository, old: ModelVersion) -> None:
    parts = [f"part{number}" for number in range(12)]
    new = install(repository, "parts", *(f"{number} {part}" for number, part in enumerate(parts, start=10)))
    mapped(old, new, f"split circle {' '.join(parts)}", "drop square", "drop cross", "drop polygon")
    case = _open()
    repository.activate(str(new))
    text = page(reviewer, url(case))
    assert [key for _label, key in _buttons(text)] == list("123456789")
    assert text.count('name="label" value="part') == 12


def test_decided_case_says_what_it_counts_as(reviewer: Client, repository: Repository, old: ModelVersion) -> None:
    proposed, renamed, kept = (_open("polygon") for _ in range(3))
    _decide(proposed, "no-label", "Unicorn")
    _decide(renamed, "corrected", "square")
    _decide(kept, "right")
    assert "counts as" not in page(reviewer, url(proposed))
    new = install(repository, "shapes", "4 polygon", "7 box", "9 unicorn")
    mapped(old, new, "proposed Unicorn unicorn", "rename square box", "drop circle", "drop cross")
    repository.activate(str(new))
    text = page(reviewer, url(proposed))
    assert "No label fits, “<bdi>Unicorn</bdi>” is proposed; counts as “unicorn” now" in text
    assert "to “square”; counts as “box” now" in page(reviewer, url(renamed))
    assert "counts as" not in page(reviewer, url(kept))
