"""Deciding, undoing, reopening: rows are only added, and the case says what they say."""

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
from review.claims import claim
from review.decisions import (
    NOTE_MAX_LENGTH,
    Seen,
    Verdict,
    bulk_undo,
    case_decide,
    case_reopen,
    cases_decide,
    decision_undo,
    undo_last,
)
from review.models import Case, Decision
from review.tests.cases import open_case, reviewer_named

pytestmark = pytest.mark.django_db
RIGHT, UNUSABLE, CUP = Verdict("right"), Verdict("unusable"), Verdict("corrected", "cup")


@pytest.fixture
def ada() -> User:
    return reviewer_named("ada")


@pytest.fixture
def grace() -> User:
    return reviewer_named("grace")


@pytest.fixture
def case() -> Case:
    return open_case()


def _decide(case: Case, reviewer: User, verdict: Verdict = CUP) -> Decision:
    return case_decide(case_id=case.pk, reviewer=reviewer, verdict=verdict, seen=Seen.of(case))


def _refused(code: str, verdict: Verdict, case: Case, reviewer: User) -> RequestRejected:
    with pytest.raises(RequestRejected) as refused:
        _decide(case, reviewer, verdict)
    assert refused.value.code == code
    return refused.value


def test_it_works(case: Case, ada: User) -> None:
    claim(case, ada)
    decision = _decide(case, ada, Verdict("corrected", "cup", "the foam is milk"))
    case.refresh_from_db()
    assert (case.state, case.verdict, case.label, case.decided_by) == ("decided", "corrected", "cup", ada)
    assert (case.claimed_by, case.decision_count) == (None, 1)
    assert (decision.number, decision.note, decision.predicted_label) == (1, "the foam is milk", "espresso")
    assert (decision.model_version, decision.score, decision.prediction) == ("fake-net@1", 0.9512345, case.prediction)


def test_correcting_to_what_the_model_said_confirms_it(case: Case, ada: User) -> None:
    _decide(case, ada, Verdict("corrected", "espresso"))
    case.refresh_from_db()
    assert (case.verdict, case.label) == ("right", "espresso")


def test_accepting_what_people_expect(case: Case, ada: User) -> None:
    _decide(case, ada, Verdict("accept"))
    case.refresh_from_db()
    assert (case.verdict, case.label) == ("corrected", "cup")
    _refused("no-expected-label", Verdict("accept"), open_case(expected=""), ada)


def test_unusable_and_flagged(ada: User) -> None:
    for verdict, state in ((UNUSABLE, ("decided", "unusable", "")), (Verdict("flagged", "", "?"), ("flagged", "", ""))):
        case = open_case()
        _decide(case, ada, verdict)
        case.refresh_from_db()
        assert (case.state, case.verdict, case.label) == state


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict("corrected", "a thing"), "unknown-label"),
        (Verdict("corrected", " "), "label-needed"),
        (Verdict("flagged", "", " "), "note-needed"),
        (Verdict("right", "", "x" * (NOTE_MAX_LENGTH + 1)), "note-too-long"),
        (Verdict("undo"), "unknown-verdict"),
    ],
)
def test_bad_verdicts(verdict: Verdict, code: str, case: Case, ada: User) -> None:
    _refused(code, verdict, case, ada)
    assert not Decision.objects.exists()


def test_a_case_that_is_gone(case: Case, ada: User) -> None:
    case.pk += 1
    _refused("no-such-case", RIGHT, case, ada)


def test_decided_by_someone_else_meanwhile(case: Case, ada: User, grace: User) -> None:
    _decide(case, grace)
    assert "by grace (Corrected: cup)" in _refused("decided", RIGHT, case, ada).message
    assert Decision.objects.count() == 1


def test_claimed_by_someone_else(case: Case, ada: User, grace: User) -> None:
    claim(case, grace)
    assert "grace is looking" in _refused("claimed", RIGHT, case, ada).message


def test_a_claim_that_has_run_out(case: Case, ada: User, grace: User) -> None:
    claim(case, ada)
    Case.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    _decide(case, ada)  # nobody else took it
    second = open_case()
    claim(second, ada)
    Case.objects.filter(pk=second.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    claim(second, grace)
    _refused("claimed", RIGHT, second, ada)


def test_the_answer_under_review_changed(case: Case, ada: User) -> None:
    seen = Seen(0, uuid4())
    with pytest.raises(RequestRejected) as refused:
        case_decide(case_id=case.pk, reviewer=ada, verdict=RIGHT, seen=seen)
    assert refused.value.code == "changed"


def test_a_statement_after_the_decision(case: Case, ada: User) -> None:
    _decide(case, ada)
    with pytest.raises(RequestRejected, match="decided"):
        feedback_give(prediction=case.prediction, author="author 0", verdict="right")
    feedback_give(prediction=case.prediction, author="somebody new", verdict="right")
    case.refresh_from_db()
    assert (case.weight, case.label) == (2, "cup")


def test_undo_steps_back(ada: User, grace: User) -> None:
    first, second = open_case(), open_case()
    _decide(first, ada)
    _decide(second, ada, UNUSABLE)
    assert [undo_last(ada).case_id, undo_last(ada).case_id] == [second.pk, first.pk]
    with pytest.raises(RequestRejected, match="nothing"):
        undo_last(ada)
    with pytest.raises(RequestRejected, match="nothing"):
        undo_last(grace)
    assert set(Case.objects.values_list("state", "label")) == {("open", "")}
    assert Decision.objects.count() == 4


def test_undo_of_a_verdict_on_a_flagged_case(case: Case, ada: User) -> None:
    _decide(case, ada, Verdict("flagged", "", "hm"))
    case.refresh_from_db()
    _decide(case, ada, CUP)
    undo_last(ada)
    case.refresh_from_db()
    assert (case.state, case.label) == ("flagged", "")


def test_only_ones_own_and_only_the_last(case: Case, ada: User, grace: User) -> None:
    decision = _decide(case, ada)
    with pytest.raises(RequestRejected) as refused:
        decision_undo(decision=decision, reviewer=grace)
    assert refused.value.code == "not-yours"
    case_reopen(case_id=case.pk, reviewer=grace)
    with pytest.raises(RequestRejected) as refused:
        decision_undo(decision=decision, reviewer=ada)
    assert refused.value.code == "decided"


def test_reopen(case: Case, ada: User) -> None:
    with pytest.raises(RequestRejected, match="open already"):
        case_reopen(case_id=case.pk, reviewer=ada)
    _decide(case, ada)
    case_reopen(case_id=case.pk, reviewer=ada, note="look again")
    case.refresh_from_db()
    assert (case.state, case.verdict, case.decision_count) == ("open", "", 2)
    _decide(case, ada, UNUSABLE)


def test_many_at_once(ada: User, grace: User) -> None:
    cases = [open_case() for _ in range(4)]
    claim(cases[1], grace)
    _decide(cases[2], grace)
    result = cases_decide(seen={case.pk: Seen.of(case) for case in cases}, reviewer=ada, verdict=CUP)
    assert {decision.case_id for decision in result.stored} == {cases[0].pk, cases[3].pk}
    assert [(pk, refusal.code) for pk, refusal in result.refused] == [
        (cases[1].pk, "claimed"),
        (cases[2].pk, "decided"),
    ]
    with pytest.raises(RequestRejected):
        bulk_undo(result.bulk, grace)
    assert len(bulk_undo(result.bulk, ada)) == 2
    assert Case.objects.open().count() == 3
    with pytest.raises(RequestRejected, match="Up to 500"):
        cases_decide(seen=dict.fromkeys(range(501)), reviewer=ada, verdict=CUP)


def test_rows_are_only_added(case: Case, ada: User) -> None:
    decision = _decide(case, ada)
    for change in (
        decision.save,
        decision.delete,
        Decision.objects.all().delete,
        lambda: Decision.objects.update(note=""),
    ):
        with pytest.raises(TypeError, match="only ever added"):
            change()


class TestStateIsWhatTheRowsSay(TestCase):
    @settings(max_examples=25)
    @given(st.lists(st.sampled_from(["right", "cup", "unusable", "flag", "undo", "reopen"]), max_size=12))
    def test_any_sequence(self, steps: list[str]) -> None:
        ada, case = reviewer_named("ada"), open_case()
        stack: list[tuple[str, str]] = []
        verdicts = {"right": RIGHT, "cup": CUP, "unusable": UNUSABLE, "flag": Verdict("flagged", "", "?")}
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
                pass  # not possible just now, and then nothing has changed
            case.refresh_from_db()
            assert (case.state, case.label) == (stack[-1] if stack else ("open", ""))
            assert case.decision_count == case.decisions.count()
