"""Cases whose label was split or dropped come back to the desk, and are decided with the new labels."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from predictions import classifiers
from predictions.exceptions import RequestRejected
from review import label_reopening
from review.case_labels import labels_of
from review.decisions import DecisionRequest, case_decide
from review.label_reopening import LabelWatcher, cases_return, returning_cases
from review.models import Case, Decision
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import page, send, send_json, url
from review.tests.label_versions import install, mapped
from review.undoing import case_reopen, undo_last
from worker.inference.repository import ModelVersion, Repository

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(repository: Repository) -> ModelVersion:
    return install(repository, "a", "1 cup", "2 dog", "3 cat", "4 latte")


@pytest.fixture
def new(repository: Repository, old: ModelVersion) -> ModelVersion:
    """The active version, with a mapping from the old one."""
    new = install(repository, "b", "1 cup", "5 mug, beaker", "6 teacup", "7 hound", "8 coffee", "9 unicorn")
    mapped(old, new, "split cup cup mug teacup", "rename dog hound", "drop cat", "merge latte coffee")
    return repository.activate(str(new))


def _open(said: str = "latte", **changes: Any) -> Case:
    """Opens a case that `a@1` has answered."""
    top = [[said, 0.9], ["cup", 0.05], ["dog", 0.03], ["cat", 0.02]]
    answer: dict[str, Any] = {"label": said, "statements": 0, "model_version": "a@1", "top": top}
    return open_case(**answer | changes)


def _decided(label: str, *, said: str = "latte", kind: str = "corrected") -> Case:
    """Opens a case and decides it while `a@1` is active."""
    return _decide_earlier(_open(said), kind, label)


def _decide_earlier(case: Case, kind: str, label: str) -> Case:
    """Decides a case while `a@1` is active."""
    repository = classifiers.repository()
    active = repository.active_name()
    repository.activate("a@1")
    decided = _decide(case, kind, label)
    repository.activate(active)
    return decided


def _decide(case: Case, kind: str, label: str = "") -> Case:
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest(kind, label, may_propose=True))
    return Case.objects.get(pk=case.pk)


def _states(*cases: Case) -> list[str]:
    return [Case.objects.get(pk=case.pk).state for case in cases]


def test_only_split_and_dropped_labels_return(new: ModelVersion) -> None:
    cases = [_decided(label) for label in ("cup", "cat", "dog", "latte")]
    unusable = _decided("", kind="unusable")
    assert [(group.number, group.reason) for group in returning_cases(new)] == [
        (1, "The label “cat” was dropped."),
        (1, "The label “cup” was split into “cup”, “mug” and “teacup”."),
    ]
    assert cases_return(new) == 2
    assert _states(*cases, unusable) == ["open", "open", "decided", "decided", "decided"]
    row = cases[0].decisions.latest("number")
    assert (row.kind, row.note) == ("reopen", "The label “cup” was split into “cup”, “mug” and “teacup”.")
    first = cases[0].decisions.earliest("number")
    assert (first.kind, first.label) == ("corrected", "cup")
    assert not row.reviewer.is_active and not row.reviewer.has_usable_password()


def test_nothing_returns_for_a_version_that_no_mapping_leads_to(new: ModelVersion, repository: Repository) -> None:
    cases = [_decided(label) for label in ("cup", "cat", "dog", "latte")]
    other = repository.activate(str(install(repository, "c", "20 fork", "21 coffee")))
    assert returning_cases(other) == []
    LabelWatcher().check()
    assert "open" not in _states(*cases)


def test_returned_case_is_decided_with_the_new_labels_and_stays_decided(new: ModelVersion) -> None:
    case = _decided("cup")
    cases_return(new)
    assert cases_return(new) == 0
    decided = _decide(case, "corrected", "cup")
    assert (decided.state, decided.label) == ("decided", "cup")
    assert decided.label_set is not None and decided.label_set.versions == ["b@1"]
    assert cases_return(new) == 0


@pytest.mark.parametrize(
    ("text", "verdict", "label"),
    [("teacup", "corrected", "teacup"), ("Beaker", "corrected", "mug"), ("dog", "corrected", "hound")],
)
def test_labels_are_those_of_the_active_version(new: ModelVersion, text: str, verdict: str, label: str) -> None:
    case = _decided("cup")
    cases_return(new)
    decided = _decide(case, "corrected", text)
    assert (decided.verdict, decided.label) == (verdict, label)


def test_answer_is_confirmed_under_its_new_name(new: ModelVersion) -> None:
    first, second = _decided("cat", said="dog"), _decided("cat", said="latte")
    cases_return(new)
    assert (_decide(first, "right").label, _decide(second, "corrected", "coffee").verdict) == ("hound", "right")


def test_split_label_cannot_be_chosen_again(new: ModelVersion) -> None:
    case = _decided("cat", said="cat")
    cases_return(new)
    for request in (DecisionRequest("right"), DecisionRequest("corrected", "cat", may_propose=True)):
        with pytest.raises(RequestRejected) as rejected:
            case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=request)
        assert rejected.value.code == "label-changed"
        assert rejected.value.message == "The label “cat” was dropped. Which label is it now?"


def test_proposal_that_is_a_label_now_returns_once(new: ModelVersion) -> None:
    case, other = _decided("Unicorn "), _decided("dragon")
    assert cases_return(new) == 1
    assert _states(case, other) == ["open", "decided"]
    assert case.decisions.latest("number").note == "There is a label “unicorn” now."
    assert _decide(case, "corrected", "unicorn").label == "unicorn"
    assert cases_return(new) == 0
    insists = _decided("unicorn")
    cases_return(new)
    _decide(insists, "no-label", "unicorn")
    assert cases_return(new) == 0


def test_interrupted_return_continues(new: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_reopening, "BATCH", 2)
    cases = [_decided("cup") for _ in range(5)]

    def interrupt(done: int, total: int) -> None:
        assert total == 5
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cases_return(new, interrupt)
    assert _states(*cases).count("open") == 4
    assert cases_return(new) == 1
    assert Decision.objects.filter(kind="reopen").count() == 5


def test_progress_counts_reopened_cases_of_all_words(new: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_reopening, "BATCH", 3)
    cases = [_decided(label) for label in ("cup", "cup", "cup", "cat", "unicorn", "Unicorn")]
    found = returning_cases(new)
    monkeypatch.setattr(label_reopening, "returning_cases", lambda version: found)
    case_reopen(case_id=cases[0].pk, reviewer=reviewer_named(), note="meanwhile")
    reported: list[tuple[int, int]] = []
    assert cases_return(new, lambda done, total: reported.append((done, total))) == 5
    assert reported == [(3, 6)]


def test_worker_returns_cases_after_a_change(
    old: ModelVersion, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_reopening, "BATCH", 2)
    monkeypatch.setattr(LabelWatcher, "LIMIT", 2)
    repository.activate(str(old))
    cases = [_decided("cup") for _ in range(3)]
    watcher = LabelWatcher()
    watcher.check()
    assert "open" not in _states(*cases)
    new = repository.activate(str(install(repository, "b", "5 mug", "6 teacup")))
    watcher.check()
    assert "open" not in _states(*cases)
    mapped(old, new, "split cup mug teacup", "drop dog", "drop cat", "drop latte")
    for expected in (2, 3, 3):
        watcher.check()
        assert _states(*cases).count("open") == expected
    later = _decided("cup")  # somebody has decided another case with the earlier labels
    watcher.check()
    assert _states(later) == ["decided"]
    monkeypatch.setattr(LabelWatcher, "AGAIN_SECONDS", 0)
    watcher.check()
    assert _states(later) == ["open"]


def test_erased_pictures_do_not_return(new: ModelVersion) -> None:
    case = _decided("cup")
    case.image.file = ""
    case.image.save()
    assert cases_return(new) == 0


def test_desk_says_why_a_case_came_back(reviewer: Client, new: ModelVersion) -> None:
    case = _decided("cup")
    assert "This case came back" not in page(reviewer, url(case))
    cases_return(new)
    text = page(reviewer, url(case))
    assert "This case came back. The label “cup” was split into “cup”, “mug” and “teacup”." in text
    assert "data-prediction" not in text  # the field searches the active version's labels
    answer = send_json(reviewer, case, verdict="corrected", label="no such label").json()
    assert answer["said"].endswith("“no such label” is proposed.")
    assert send(reviewer, _returned(new), verdict="corrected", label="teacup").status_code == 303


def test_desk_offers_only_labels_that_can_be_chosen(reviewer: Client, new: ModelVersion) -> None:
    top = [["latte", 0.6], ["dog", 0.2], ["cat", 0.1], ["cup", 0.1]]
    case = _open(expected="dog", statements=1, top=top)
    _decide_earlier(case, "corrected", "cat")
    cases_return(new)
    text = page(reviewer, url(case))
    assert re.findall(r'name="label" value="(.*?)" data-key="(.)"', text) == [
        ("hound", "a"),
        ("coffee", "1"),
        ("hound", "2"),
        ("cup", "3"),
        ("mug", "4"),
        ("teacup", "5"),
    ]
    assert "Accept “hound”" in text and "one person expects it" in text and "The model was right: “coffee”" in text
    for label in ("hound", "coffee", "cup", "mug", "teacup"):
        assert labels_of(Case.objects.get(pk=case.pk)).match(label) == label
    assert "The model was right: " not in page(reviewer, url(_returned(new, said="cat")))


def _returned(new: ModelVersion, said: str = "latte") -> Case:
    case = _decided("cat", said=said)
    cases_return(new)
    return Case.objects.get(pk=case.pk)


def test_queue_shows_the_cases_that_came_back(reviewer: Client, new: ModelVersion) -> None:
    queue = "/admin/review/case/"
    _decide(_open(), "corrected", "mug")
    undo_last(reviewer_named())
    text = page(reviewer, queue)
    assert "Came back" not in text and "came back" not in text
    case = _returned(new)
    cache.clear()
    assert "Open, came back" in page(reviewer, queue)
    text = page(reviewer, f"{queue}?state=returned")
    assert re.findall(r'name="_selected_action" value="(\d+)"', text) == [str(case.pk)]
    for count in ("Came back</1", "Open</2", "All</2"):
        assert count.replace("</", ' <span class="count">') + "</span>" in text
    following = reviewer.post(f"{queue}next/?state=returned")["Location"]
    assert following == f"{url(case)}?state=returned"
