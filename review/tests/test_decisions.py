"""Deciding, undoing, reopening: rows are append-only, and the case reflects them."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from feedback.services import feedback_give
from predictions.exceptions import RequestRejected
from review.bulk import cases_decide
from review.claims import claim
from review.decisions import DecisionRequest, SeenState, case_decide
from review.history import NOTE_MAX_LENGTH
from review.models import Case, Decision
from review.tests.cases import open_case, reviewer_named, seen_state
from review.undoing import bulk_undo, case_reopen, decision_undo, undo_last

pytestmark = pytest.mark.django_db
RIGHT, UNUSABLE, CUP = DecisionRequest("right"), DecisionRequest("unusable"), DecisionRequest("corrected", "cup")


@pytest.fixture
def ada() -> User:
    return reviewer_named("ada")


@pytest.fixture
def grace() -> User:
    return reviewer_named("grace")


@pytest.fixture
def case() -> Case:
    return open_case()


def _decide(case: Case, reviewer: User, verdict: DecisionRequest = CUP) -> Decision:
    return case_decide(case_id=case.pk, reviewer=reviewer, verdict=verdict, seen=seen_state(case))


def _rejected(code: str, verdict: DecisionRequest, case: Case, reviewer: User) -> RequestRejected:
    with pytest.raises(RequestRejected) as rejected:
        _decide(case, reviewer, verdict)
    assert rejected.value.code == code
    return rejected.value


def test_decision_updates_and_releases_the_case(case: Case, ada: User) -> None:
    claim(case, ada)
    decision = _decide(case, ada, DecisionRequest("corrected", "cup", "the foam is milk"))
    case.refresh_from_db()
    assert (case.state, case.verdict, case.label, case.decided_by) == ("decided", "corrected", "cup", ada)
    assert (case.claimed_by, case.decision_count) == (None, 1)
    assert (decision.number, decision.note, decision.predicted_label) == (1, "the foam is milk", "espresso")
    assert (decision.model_version, decision.score, decision.prediction) == ("fake-net@1", 0.9512345, case.prediction)


def test_correcting_to_the_models_label_confirms_it(case: Case, ada: User) -> None:
    _decide(case, ada, DecisionRequest("corrected", "espresso"))
    case.refresh_from_db()
    assert (case.verdict, case.label) == ("right", "espresso")


def test_accept_corrects_to_the_expected_label(case: Case, ada: User) -> None:
    _decide(case, ada, DecisionRequest("accept"))
    case.refresh_from_db()
    assert (case.verdict, case.label) == ("corrected", "cup")
    _rejected("no-expected-label", DecisionRequest("accept"), open_case(expected=""), ada)


def test_state_after_unusable_and_flagged(ada: User) -> None:
    for verdict, state in (
        (UNUSABLE, ("decided", "unusable", "")),
        (DecisionRequest("flagged", "", "?"), ("flagged", "", "")),
    ):
        case = open_case()
        _decide(case, ada, verdict)
        case.refresh_from_db()
        assert (case.state, case.verdict, case.label) == state


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (DecisionRequest("corrected", "a thing"), "unknown-label"),
        (DecisionRequest("corrected", " "), "label-needed"),
        (DecisionRequest("flagged", "", " "), "note-needed"),
        (DecisionRequest("right", "", "x" * (NOTE_MAX_LENGTH + 1)), "note-too-long"),
        (DecisionRequest("undo"), "unknown-verdict"),
    ],
)
def test_rejects_invalid_verdicts(verdict: DecisionRequest, code: str, case: Case, ada: User) -> None:
    _rejected(code, verdict, case, ada)
    assert not Decision.objects.exists()


def test_rejects_missing_case(case: Case, ada: User) -> None:
    case.pk += 1
    _rejected("no-such-case", RIGHT, case, ada)


def test_rejects_case_that_somebody_else_decided(case: Case, ada: User, grace: User) -> None:
    _decide(case, grace)
    assert "by grace (Corrected: cup)" in _rejected("decided", RIGHT, case, ada).message
    assert Decision.objects.count() == 1


def test_rejects_case_that_somebody_else_claimed(case: Case, ada: User, grace: User) -> None:
    claim(case, grace)
    assert "grace is looking" in _rejected("claimed", RIGHT, case, ada).message


def test_expired_claim_counts_until_somebody_else_claims(case: Case, ada: User, grace: User) -> None:
    claim(case, ada)
    Case.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    _decide(case, ada)  # nobody else took it
    second = open_case()
    claim(second, ada)
    Case.objects.filter(pk=second.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    claim(second, grace)
    _rejected("claimed", RIGHT, second, ada)


def test_rejects_case_with_another_answer_under_review(case: Case, ada: User) -> None:
    seen = SeenState(0, uuid4())
    with pytest.raises(RequestRejected) as rejected:
        case_decide(case_id=case.pk, reviewer=ada, verdict=RIGHT, seen=seen)
    assert rejected.value.code == "changed"


def test_decision_blocks_changed_feedback_but_not_new_feedback(case: Case, ada: User) -> None:
    _decide(case, ada)
    with pytest.raises(RequestRejected, match="decided"):
        feedback_give(prediction=case.prediction, author="author 0", verdict="right")
    feedback_give(prediction=case.prediction, author="somebody new", verdict="right")
    case.refresh_from_db()
    assert (case.weight, case.label) == (2, "cup")


def test_undo_last_goes_back_decision_by_decision(ada: User, grace: User) -> None:
    first, second = open_case(), open_case()
    _decide(first, ada)
    _decide(second, ada, UNUSABLE)
    assert [undo_last(ada)[0].case_id, undo_last(ada)[0].case_id] == [second.pk, first.pk]
    with pytest.raises(RequestRejected, match="nothing"):
        undo_last(ada)
    with pytest.raises(RequestRejected, match="nothing"):
        undo_last(grace)
    assert set(Case.objects.values_list("state", "label")) == {("open", "")}
    assert Decision.objects.count() == 4


def test_undo_last_passes_over_decisions_that_others_have_superseded(ada: User, grace: User) -> None:
    first, reopened, flagged = open_case(), open_case(), open_case()
    _decide(first, ada)
    _decide(reopened, ada)
    case_reopen(case_id=reopened.pk, reviewer=grace)
    _decide(flagged, ada, DecisionRequest("flagged", note="?"))
    flagged.refresh_from_db()
    _decide(flagged, grace)
    assert undo_last(ada)[0].case_id == first.pk
    undo_last(grace)
    assert undo_last(ada)[0].case_id == flagged.pk, "its flag is in effect again"


def test_undo_on_a_flagged_case_restores_the_flag(case: Case, ada: User) -> None:
    _decide(case, ada, DecisionRequest("flagged", "", "hm"))
    case.refresh_from_db()
    _decide(case, ada, CUP)
    undo_last(ada)
    case.refresh_from_db()
    assert (case.state, case.label) == ("flagged", "")


def test_rejects_undo_of_others_decisions_and_of_older_ones(case: Case, ada: User, grace: User) -> None:
    decision = _decide(case, ada)
    with pytest.raises(RequestRejected) as rejected:
        decision_undo(decision_id=decision.pk, reviewer=grace)
    assert rejected.value.code == "not-yours"
    case_reopen(case_id=case.pk, reviewer=grace)
    with pytest.raises(RequestRejected) as rejected:
        decision_undo(decision_id=decision.pk, reviewer=ada)
    assert rejected.value.code == "decided"


def test_reopen_makes_a_decided_case_open(case: Case, ada: User) -> None:
    with pytest.raises(RequestRejected, match="already open"):
        case_reopen(case_id=case.pk, reviewer=ada)
    _decide(case, ada)
    case_reopen(case_id=case.pk, reviewer=ada, note="look again")
    case.refresh_from_db()
    assert (case.state, case.verdict, case.decision_count) == ("open", "", 2)
    _decide(case, ada, UNUSABLE)


def test_bulk_decision_leaves_claimed_and_decided_cases_unchanged(ada: User, grace: User) -> None:
    cases = [open_case() for _ in range(4)]
    claim(cases[1], grace)
    _decide(cases[2], grace)
    result = cases_decide(seen={case.pk: seen_state(case) for case in cases}, reviewer=ada, verdict=CUP)
    assert {decision.case_id for decision in result.stored} == {cases[0].pk, cases[3].pk}
    assert [(pk, rejection.code) for pk, rejection in result.rejected] == [
        (cases[1].pk, "claimed"),
        (cases[2].pk, "decided"),
    ]
    with pytest.raises(RequestRejected):
        bulk_undo(result.bulk, grace)
    assert len(bulk_undo(result.bulk, ada)) == 2
    assert Case.objects.open().count() == 3
    with pytest.raises(RequestRejected, match="At most 500"):
        cases_decide(seen=dict.fromkeys(range(501)), reviewer=ada, verdict=CUP)


def test_rows_are_append_only(case: Case, ada: User) -> None:
    decision = _decide(case, ada)
    for change in (
        decision.save,
        decision.delete,
        Decision.objects.all().delete,
        lambda: Decision.objects.update(note=""),
    ):
        with pytest.raises(TypeError, match="append-only"):
            change()


class TestStateFollowsFromHistory(TestCase):
    @settings(max_examples=25)
    @given(st.lists(st.sampled_from(["right", "cup", "unusable", "flag", "undo", "reopen"]), max_size=12))
    def test_any_sequence(self, steps: list[str]) -> None:
        ada, case = reviewer_named("ada"), open_case()
        stack: list[tuple[str, str]] = []
        verdicts = {"right": RIGHT, "cup": CUP, "unusable": UNUSABLE, "flag": DecisionRequest("flagged", "", "?")}
        expected = {
            "right": ("decided", "espresso"),
            "cup": ("decided", "cup"),
            "unusable": ("decided", ""),
            "flag": ("flagged", ""),
        }
        for step in steps:
            case.refresh_from_db()
            try:
                if step == "undo":
                    undo_last(ada)
                    stack.pop()
                elif step == "reopen":
                    case_reopen(case_id=case.pk, reviewer=ada)
                    stack = []
                else:
                    _decide(case, ada, verdicts[step])
                    stack.append(expected[step])
            except RequestRejected:
                pass  # rejected in this state: nothing may change
            case.refresh_from_db()
            assert (case.state, case.label) == (stack[-1] if stack else ("open", ""))
            assert case.decision_count == case.decisions.count()
