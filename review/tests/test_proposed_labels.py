"""At the desk, a word that is no label becomes a proposal."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from feedback.services import feedback_give
from predictions.exceptions import RequestRejected
from predictions.tests.fakes import stored_prediction
from review.decisions import DecisionRequest, case_decide
from review.models import Case, Decision
from review.selectors import cases_found
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import fields, page, send, send_json, url
from review.undoing import case_reopen, undo_last

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("two_versions")]


@pytest.fixture
def ada() -> User:
    return reviewer_named("ada")


@pytest.fixture
def case() -> Case:
    return open_case()


def _typed(text: str) -> DecisionRequest:
    return DecisionRequest("corrected", text, may_propose=True)


def _proposed(case: Case) -> tuple[str, str, str, str]:
    case.refresh_from_db()
    decision = Decision.objects.order_by("-id")[0]
    assert (decision.kind, decision.proposed_label) == (case.verdict, case.proposed_label)
    return case.state, case.verdict, case.label, case.proposed_label


@pytest.mark.parametrize("text", ["unicorn", "dog", "<b>no such</b>", "🦄", "حصان", "x" * 200])
def test_typed_word_is_stored_as_a_proposal(reviewer: Client, case: Case, text: str) -> None:
    assert send(reviewer, case, verdict="corrected", label=f" {text} ").status_code == 303
    assert _proposed(case) == ("decided", "no-label", "", text)


def test_says_what_was_stored(reviewer: Client, case: Case) -> None:
    said = send_json(reviewer, case, verdict="corrected", label="unicorn").json()["said"]
    assert said == f"Case {case.pk}: no label fits, “unicorn” is proposed."


@pytest.mark.parametrize(("text", "label"), [("Eskimo dog", "Eskimo_dog"), ("husky", "Eskimo_dog"), ("CUP", "cup")])
def test_typed_label_is_stored_as_a_label(reviewer: Client, case: Case, text: str, label: str) -> None:
    send(reviewer, case, verdict="corrected", label=text)
    assert _proposed(case) == ("decided", "corrected", label, "")


@pytest.mark.parametrize("text", ["", " \t", "\u200b\u2060", "\u202e"])
def test_rejects_an_invisible_proposal(reviewer: Client, case: Case, text: str) -> None:
    assert send_json(reviewer, case, verdict="corrected", label=text).json()["code"] == "label-needed"
    assert not Decision.objects.exists()


@pytest.mark.parametrize("text", ["x" * 201, "dog " * 2500])
def test_rejects_a_proposal_that_is_too_long(reviewer: Client, case: Case, text: str) -> None:
    assert send_json(reviewer, case, verdict="corrected", label=text).json()["code"] == "unknown-label"
    assert not Decision.objects.exists()


def test_rejects_a_proposal_with_unprintable_characters(reviewer: Client, case: Case) -> None:
    for form in ({"verdict": "corrected"}, {"verdict": "no-label"}):
        answer = send_json(reviewer, case, label="a\ue000b", **form).json()
        assert answer["code"] == "unknown-label" and "which cannot be printed" in answer["message"], answer
    assert not Decision.objects.exists()


def test_search_finds_a_proposal_that_was_typed_on_several_lines(reviewer: Client, case: Case) -> None:
    send(reviewer, case, verdict="corrected", label="sea  cow\r\n\nx")
    assert _proposed(case)[-1] == "sea cow x"
    assert list(cases_found(Case.objects.all(), case.proposed_label)) == [case]


def test_replaces_control_characters(reviewer: Client, case: Case) -> None:
    send(reviewer, case, verdict="corrected", label="a\x00b\x1b[2J")
    assert _proposed(case)[-1] == "a\ufffdb\ufffd[2J"


def test_label_button_needs_a_label(case: Case, ada: User) -> None:
    with pytest.raises(RequestRejected) as rejected:
        case_decide(case_id=case.pk, reviewer=ada, verdict=DecisionRequest("corrected", "unicorn"))
    assert rejected.value.code == "unknown-label"


def test_retry_changes_nothing(reviewer: Client, case: Case) -> None:
    form = fields(case, verdict="corrected", label="unicorn")
    for _ in range(2):
        assert reviewer.post(url(case, "decide"), form).status_code == 303
    assert Decision.objects.count() == 1


def test_undo_and_reopening_remove_the_proposal(case: Case, ada: User) -> None:
    case_decide(case_id=case.pk, reviewer=ada, verdict=_typed("unicorn"))
    undo_last(ada)
    case.refresh_from_db()
    assert (case.state, case.verdict, case.proposed_label) == ("open", "", "")
    case_decide(case_id=case.pk, reviewer=ada, verdict=_typed("unicorn"))
    case_reopen(case_id=case.pk, reviewer=ada)
    case.refresh_from_db()
    assert (case.state, case.proposed_label) == ("open", "")


def test_labels_are_those_of_the_version_that_answered(reviewer: Client) -> None:
    """`unicorn` is a label of an earlier version, `husky` one of the active version."""
    for text, stored in (
        ("monoceros", ("decided", "corrected", "unicorn", "")),
        ("husky", ("decided", "no-label", "", "husky")),
    ):
        case = open_case(label="whippet", top=[["whippet", 0.9]], model_version="other-net@1")
        send(reviewer, case, verdict="corrected", label=text)
        assert _proposed(case) == stored


def test_accepts_what_people_expect_of_another_version(case: Case, ada: User) -> None:
    earlier = stored_prediction(
        case.image, label="whippet", top=[["whippet", 0.9]], score=0.9, model_version="other-net@1"
    )
    feedback_give(prediction=earlier, author="b", verdict="wrong", expected_label="unicorn")
    Case.objects.filter(pk=case.pk).update(prediction=case.prediction)
    decision = case_decide(case_id=case.pk, reviewer=ada, verdict=DecisionRequest("corrected", "unicorn"))
    assert (decision.kind, decision.label) == ("corrected", "unicorn")


def test_pages_show_the_proposal(reviewer: Client, case: Case, ada: User) -> None:
    case_decide(case_id=case.pk, reviewer=ada, verdict=_typed("a <unicorn> \u200f"))
    shown = "a &lt;unicorn&gt; [U+200F]"
    focus = page(reviewer, url(case))
    assert f"No label fits, “<bdi>{shown}</bdi>” is proposed" in focus and f"No label fits: <bdi>{shown}</bdi>" in focus
    other = open_case()
    assert f"“<bdi>{shown}</bdi>”" in page(reviewer, url(other)).partition('class="similar-cases"')[2]
    for query in ("?state=no-label", "?state=decided", "?state=all&q=UNICORN"):
        assert f"Picture of case {case.pk}" in page(reviewer, f"/admin/review/case/{query}")
    assert f"No label fits: {shown}" in page(reviewer, "/admin/review/case/?state=no-label")
    again = send_json(reviewer, case, verdict="right").json()
    assert "a <unicorn> [U+200F]" in again["message"]
    visitor = Client().get(case.prediction.get_absolute_url()).text
    assert f"A reviewer looked at this: it is “<bdi>{shown}</bdi>”, which the model has no label for" in visitor


def test_said_and_statistics_show_invisible_characters(reviewer: Client, lead: Client, case: Case) -> None:
    shown = "a [U+200F]b"
    assert shown in send_json(reviewer, case, verdict="corrected", label="a \u200fb").json()["said"]
    assert f"No label fits: {shown}" in page(reviewer, "/admin/")
    assert f">{shown}</a>" in page(lead, "/admin/review/case/statistics/")
    file = lead.get("/admin/review/case/statistics/proposed-labels.csv").content.decode("utf-8-sig")
    assert file.splitlines()[1] == f"{shown},espresso,1"


def test_statistics_count_it_as_wrong_and_list_it(lead: Client, ada: User) -> None:
    for verdict in (_typed("unicorn"), _typed("unicorn"), DecisionRequest("right"), DecisionRequest("accept")):
        case_decide(case_id=open_case().pk, reviewer=ada, verdict=verdict)
    text = page(lead, "/admin/review/case/statistics/")
    assert "Proposed labels" in text and "unicorn" in text
    rows = lead.get("/admin/review/case/statistics/proposed-labels.csv").content.decode("utf-8-sig").splitlines()
    assert rows == ["proposed_label,predicted_label,cases", "unicorn,espresso,2"]
    complaints = lead.get("/admin/review/case/statistics/complaints.csv").content.decode("utf-8-sig")
    (row,) = csv.DictReader(StringIO(complaints))
    assert (row["complaints_decided"], row["confirmed"]) == ("4", "3")


@pytest.mark.parametrize(
    "columns",
    [
        {"verdict": "no-label", "proposed_label": ""},
        {"verdict": "no-label", "label": "cup", "proposed_label": "unicorn"},
        {"verdict": "unusable", "proposed_label": "unicorn"},
    ],
)
def test_database_rejects_half_a_proposal(case: Case, ada: User, columns: dict[str, str]) -> None:
    case_decide(case_id=case.pk, reviewer=ada, verdict=DecisionRequest("unusable"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Case.objects.update(**columns)
