"""Retries of writes whose response was lost: each write is carried out once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection

from predictions.exceptions import RequestRejected
from review.bulk import cases_decide, cases_reopen
from review.claims import case_skip, claim
from review.decisions import DecisionRequest, SeenState, case_decide
from review.models import Case, Decision, Skip
from review.tests.cases import open_case, reviewer_named, seen_state
from review.undoing import bulk_undo, case_reopen, decision_undo, undo_last

pytestmark = pytest.mark.django_db
RIGHT, UNUSABLE = DecisionRequest("right"), DecisionRequest("unusable")


@pytest.fixture
def ada() -> User:
    return reviewer_named("ada")


@pytest.fixture
def grace() -> User:
    return reviewer_named("grace")


@pytest.fixture
def cases() -> list[Case]:
    return [open_case() for _ in range(3)]


def _decide(case: Case, reviewer: User, verdict: DecisionRequest = RIGHT, key: UUID | None = None) -> Decision:
    return case_decide(
        case_id=case.pk,
        reviewer=reviewer,
        verdict=verdict,
        seen=seen_state(case),
        key=key,
    )


def _seen(cases: list[Case]) -> dict[int, SeenState | None]:
    return {case.pk: seen_state(case) for case in cases}


def _open() -> list[int]:
    return list(Case.objects.open().order_by("pk").values_list("pk", flat=True))


def test_retry_of_undo_last_undoes_one_decision(cases: list[Case], ada: User) -> None:
    for case in cases:
        _decide(case, ada)
    first = undo_last(ada, key := uuid4())
    assert undo_last(ada, key) == first and _open() == [cases[2].pk]
    assert undo_last(ada, uuid4())[0].case_id == cases[1].pk, "another key is another write"
    assert undo_last(ada, key) == first, "even a late retry"
    assert _open() == [cases[1].pk, cases[2].pk]


def test_retry_of_undo_last_when_nothing_else_is_left(cases: list[Case], ada: User) -> None:
    _decide(cases[0], ada)
    assert undo_last(ada, key := uuid4()) == undo_last(ada, key)


def test_retry_of_undo_last_of_a_bulk(cases: list[Case], ada: User) -> None:
    _decide(cases[0], ada)
    cases_decide(seen=_seen(cases[1:]), reviewer=ada, verdict=RIGHT)
    assert undo_last(ada, key := uuid4()) == undo_last(ada, key)
    assert _open() == [cases[1].pk, cases[2].pk]


def test_retry_of_undo_of_a_named_decision(cases: list[Case], ada: User) -> None:
    decision = _decide(cases[0], ada)
    first = decision_undo(decision_id=decision.pk, reviewer=ada, key=(key := uuid4()))
    assert decision_undo(decision_id=decision.pk, reviewer=ada, key=key) == first
    with pytest.raises(RequestRejected, match="already undone"):
        decision_undo(decision_id=decision.pk, reviewer=ada, key=uuid4())


def test_two_reviewers_may_use_the_same_key(cases: list[Case], ada: User, grace: User) -> None:
    _decide(cases[0], ada)
    _decide(cases[1], grace)
    assert undo_last(ada, key := uuid4())[0].case_id == cases[0].pk
    assert undo_last(grace, key)[0].case_id == cases[1].pk


def test_retry_of_a_decision(cases: list[Case], ada: User) -> None:
    case, key = cases[0], uuid4()
    first = _decide(case, ada, key=key)
    assert _decide(case, ada, key=key) == first
    with pytest.raises(RequestRejected, match="Already decided"):
        _decide(case, ada, UNUSABLE, key)  # another button of the same form
    undo_last(ada)
    assert _decide(case, ada, key=key) == first, "a retry does not decide again after an undo"
    assert _open()[0] == case.pk


@pytest.mark.parametrize(
    "verdict",
    [
        DecisionRequest("corrected", " cup "),
        DecisionRequest("corrected", "espresso"),
        DecisionRequest("accept"),
        DecisionRequest("flagged", "", " a note "),
        UNUSABLE,
    ],
)
def test_retry_is_recognized_for_every_kind_of_verdict(cases: list[Case], ada: User, verdict: DecisionRequest) -> None:
    first = _decide(cases[0], ada, verdict, key := uuid4())
    assert _decide(cases[0], ada, verdict, key) == first and Decision.objects.count() == 1


def test_retry_of_a_bulk_decision(cases: list[Case], ada: User, grace: User) -> None:
    """A case that the first attempt could not decide stays unchanged, even if it is free by now."""
    claim(cases[1], grace)
    _decide(cases[2], grace)
    first = cases_decide(seen=_seen(cases), reviewer=ada, verdict=RIGHT, key=(key := uuid4()))
    second = cases_decide(seen=_seen(cases), reviewer=ada, verdict=RIGHT, key=key)
    assert (second.bulk, second.stored) == (first.bulk, first.stored)
    assert [(pk, str(why)) for pk, why in second.rejected] == [(pk, str(why)) for pk, why in first.rejected]

    Case.objects.filter(pk=cases[1].pk).update(claimed_by=None, claimed_until=None)
    third = cases_decide(seen=_seen(cases), reviewer=ada, verdict=RIGHT, key=key)
    assert third.stored == first.stored
    assert [(pk, why.code) for pk, why in third.rejected] == [(cases[1].pk, "left-out"), (cases[2].pk, "decided")]
    assert _open() == [cases[1].pk] and Decision.objects.count() == 2


def test_retry_of_bulk_undo(cases: list[Case], ada: User, grace: User) -> None:
    bulk = cases_decide(seen=_seen(cases), reviewer=ada, verdict=RIGHT).bulk
    case_reopen(case_id=cases[0].pk, reviewer=grace)
    _decide(Case.objects.get(pk=cases[0].pk), grace)
    first = bulk_undo(bulk, ada, key := uuid4())
    assert bulk_undo(bulk, ada, key) == first and len(first) == 2
    with pytest.raises(RequestRejected, match="nothing left"):
        bulk_undo(bulk, ada, uuid4())


def test_retry_of_reopening(cases: list[Case], ada: User) -> None:
    case = cases[0]
    _decide(case, ada)
    first = case_reopen(case_id=case.pk, reviewer=ada, key=(key := uuid4()))
    assert case_reopen(case_id=case.pk, reviewer=ada, key=key) == first
    case.refresh_from_db()
    _decide(case, ada)
    assert case_reopen(case_id=case.pk, reviewer=ada, key=key) == first
    assert case.pk not in _open(), "the decision since then stands"


def test_retry_of_bulk_reopening(cases: list[Case], ada: User) -> None:
    _decide(cases[0], ada)
    ids = [case.pk for case in cases]
    first = cases_reopen(case_ids=ids, reviewer=ada, key=(key := uuid4()))
    assert [row.case_id for row in first.stored] == ids[:1]
    assert [(pk, rejection.code) for pk, rejection in first.rejected] == [(pk, "not-decided") for pk in ids[1:]]
    for case in cases:
        case.refresh_from_db()
        _decide(case, ada)
    assert cases_reopen(case_ids=ids, reviewer=ada, key=key).stored == first.stored
    assert _open() == []
    with pytest.raises(RequestRejected, match="At most 500"):
        cases_reopen(case_ids=range(501), reviewer=ada)


def test_retry_of_a_skip(cases: list[Case], ada: User) -> None:
    case, key = cases[0], uuid4()
    claim(case, ada)
    case_skip(case_id=case.pk, reviewer=ada, decision_count=0, key=key)
    skipped = Skip.objects.get()
    case.refresh_from_db()
    claim(case, ada)  # ada opens it again
    case_skip(case_id=case.pk, reviewer=ada, decision_count=0, key=key)
    case.refresh_from_db()
    assert case.claimed_by == ada and Skip.objects.get().created_at == skipped.created_at
    _decide(case, ada, DecisionRequest("flagged", "", "?"))
    case_skip(case_id=case.pk, reviewer=ada, decision_count=0, key=key)
    assert not Skip.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("bulk", [False, True])
def test_retry_while_the_first_attempt_is_running(bulk: bool) -> None:
    ada = reviewer_named("ada")
    cases = [open_case() for _ in range(6)]
    if bulk:
        for some in (cases[:3], cases[3:]):
            cases_decide(seen=_seen(some), reviewer=ada, verdict=RIGHT)
    else:
        for case in cases:
            _decide(case, ada)
    key = uuid4()

    def undo(_number: int) -> tuple[Decision, ...]:
        try:
            return tuple(undo_last(ada, key))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(undo, range(8)))) == 1
    assert Decision.objects.filter(kind="undo").count() == (3 if bulk else 1)
