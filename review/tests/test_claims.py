"""Claims: which case a reviewer gets next, and for how long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from predictions import erasing
from review.claims import case_skip, claim, claim_next, release
from review.decisions import DecisionRequest, case_decide
from review.filters import Filters
from review.models import Case
from review.statistics.queries import queue_ages
from review.tests.cases import open_case, reviewer_named
from review.undoing import undo_last

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return reviewer_named("ada")


@pytest.fixture
def grace() -> User:
    return reviewer_named("grace")


def test_next_case_is_the_first_unclaimed_one(ada: User, grace: User, settings: Settings) -> None:
    few, many = open_case(statements=1), open_case(statements=3)
    first = claim_next(ada)
    assert first == many and first.claimed_by == ada and first.claimed_until is not None
    assert first.claimed_until - timezone.now() == pytest.approx(
        timedelta(minutes=settings.REVIEW_CLAIM_MINUTES), abs=timedelta(seconds=30)
    )
    assert claim_next(grace) == few
    assert claim_next(reviewer_named("emmy")) is None


@pytest.mark.parametrize(
    ("order", "expected"),
    [("reported", [1, 0, 2]), ("confident", [1, 0, 2]), ("margin", [2, 0, 1]), ("oldest", [0, 1, 2])],
)
def test_next_case_follows_each_order(ada: User, order: str, expected: list[int]) -> None:
    cases = [
        open_case(statements=1, score=0.6, top=[["espresso", 0.6], ["cup", 0.4]]),
        open_case(statements=2, score=0.9, top=[["espresso", 0.9], ["cup", 0.1]]),
        open_case(statements=0, score=0.99, top=[["espresso", 0.5], ["cup", 0.49]]),
    ]
    got: list[int] = []
    while case := claim_next(ada, filters=Filters(order=order), besides=[cases[number].pk for number in got]):
        got.append(cases.index(case))
    assert got == expected


def test_own_claim_comes_first(ada: User) -> None:
    open_case(statements=3)
    mine = open_case()
    assert claim(mine, ada)
    assert claim_next(ada) == mine
    assert claim_next(ada, besides=[mine.pk]) != mine


def test_next_case_matches_the_filters(ada: User) -> None:
    open_case(statements=3)
    other = open_case(label="cup", top=[["cup", 0.9]], score=0.9, expected="")
    assert claim_next(ada, filters=Filters(values={"predicted_label": "cup"})) == other


def test_expired_claim_is_available_to_others(ada: User, grace: User) -> None:
    case = open_case()
    claim_next(ada)
    assert not claim(case, grace) and claim_next(grace) is None
    Case.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert claim_next(grace) == case
    assert not claim(case, ada)


def test_skipped_cases_come_last(ada: User, grace: User) -> None:
    first, second = open_case(statements=3), open_case()
    assert claim_next(ada) == first
    case_skip(case_id=first.pk, reviewer=ada)
    assert claim_next(grace) == first
    release(first.pk, grace)
    assert claim_next(ada) == second
    case_skip(case_id=second.pk, reviewer=ada)
    assert claim_next(ada) == first, "the case that was skipped first"


def test_decided_and_flagged_cases_are_never_next(ada: User) -> None:
    for verdict in (DecisionRequest("right"), DecisionRequest("flagged", "", "?")):
        case_decide(case_id=open_case().pk, reviewer=ada, verdict=verdict)
    assert claim_next(ada) is None


def test_next_case_takes_six_queries(ada: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(5):
        open_case()
    with django_assert_num_queries(6):  # savepoint, own claims, free cases, claim, end of savepoint, the case
        claim_next(ada)


def test_claims_in_advance_leave_cases_to_others(ada: User, grace: User) -> None:
    """A reviewer who finds no free case gets one that another has only claimed in advance, the last one first."""
    cases = [open_case(statements=9 - number) for number in range(4)]
    assert claim_next(ada) == cases[0]
    ahead = [claim_next(ada, in_advance=True) for _ in range(4)]
    assert ahead == [*cases[1:], None]
    assert claim_next(grace, in_advance=True) is None, "nobody takes a case that they do not look at yet"
    assert [claim_next(grace, besides=[other.pk]) for other in (cases[0], cases[3])] == [cases[3], cases[2]]
    cases[3].refresh_from_db()
    assert not claim(cases[3], ada) and claim_next(ada, besides=[cases[0].pk]) == cases[1]
    assert claim_next(grace, besides=[cases[2].pk, cases[3].pk]) is None, "ada looks at both others"


def test_looking_at_a_case_claimed_in_advance_keeps_it(ada: User, grace: User) -> None:
    case = claim_next(ada) if open_case() else None
    assert case
    release(case.pk, ada)
    ahead = claim_next(ada, in_advance=True)
    assert ahead == case and claim(ahead, ada)
    case.refresh_from_db()
    assert not case.claimed_in_advance and not claim(case, grace) and claim_next(grace) is None


def test_second_tab_gets_other_cases_than_the_first_has_loaded(ada: User) -> None:
    cases = [open_case(statements=9 - number) for number in range(3)]
    assert claim_next(ada, in_advance=True) == cases[0]
    assert claim_next(ada) == cases[1] and claim_next(ada, in_advance=True) == cases[2]
    assert claim_next(ada, besides=[cases[1].pk]) == cases[0], "when no other case is left"


def test_case_claimed_in_advance_can_be_decided_by_others(ada: User, grace: User) -> None:
    open_case()
    ahead = claim_next(ada, in_advance=True)
    assert ahead
    case_decide(case_id=ahead.pk, reviewer=grace, verdict=DecisionRequest("right"))


def test_case_claimed_in_advance_is_not_claimed_in_lists_and_counts(ada: User, client: Client) -> None:
    case = open_case()
    client.force_login(reviewer_named("grace"))
    assert claim_next(ada, in_advance=True) == case
    case.refresh_from_db()
    now = timezone.now()
    assert not Case.objects.claimed(now).exists() and case.state_at(now) == "Open"
    assert queue_ages("", now).claimed == 0
    assert "claimed by ada" not in client.get("/admin/review/case/grid/").text
    assert claim(case, ada)
    now = timezone.now()
    assert Case.objects.claimed(now).get() == case and case.state_at(now) == "Claimed"
    assert queue_ages("", now).claimed == 1
    assert "claimed by ada" in client.get("/admin/review/case/grid/").text


def test_released_case_is_not_claimed_in_advance(ada: User) -> None:
    open_case()

    def claimed_ahead() -> Case:
        case = claim_next(ada, in_advance=True)
        assert case
        return case

    release(claimed_ahead().pk, ada)
    assert Case.objects.get().claimed_in_advance is None
    case_decide(case_id=claimed_ahead().pk, reviewer=ada, verdict=DecisionRequest("right"))
    undo_last(ada)
    assert Case.objects.get().claimed_in_advance is None
    erasing.images_erase([claimed_ahead().image_id])
    assert Case.objects.get().claimed_in_advance is None


@pytest.mark.django_db(transaction=True)
def test_concurrent_reviewers_get_different_cases() -> None:
    reviewers = [reviewer_named(f"reviewer {number}") for number in range(8)]
    for _ in range(20):
        open_case()

    def claim_two(reviewer: User) -> list[int]:
        try:
            claimed: list[int] = []
            for _ in range(2):
                case = claim_next(reviewer, besides=claimed)
                assert case is not None
                claimed.append(case.pk)
            return claimed
        finally:
            connection.close()

    with ThreadPoolExecutor(len(reviewers)) as threads:
        claimed = [pk for pair in threads.map(claim_two, reviewers) for pk in pair]
    assert len(claimed) == len(set(claimed)) == 16
