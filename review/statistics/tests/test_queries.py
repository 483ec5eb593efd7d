from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from review.models import Case
from review.statistics.filter import StatisticsFilter
from review.statistics.queries import CaseCount, Day, case_counts, queue_ages, statements_by_day
from review.statistics.tests.rows import answer, case, decided, statement
from review.tests.cases import reviewer_named

pytestmark = pytest.mark.django_db
TODAY = date(2026, 3, 1)
MINUTE = timedelta(minutes=1)


def _at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]


def _all(model_version: str = "") -> StatisticsFilter:
    return StatisticsFilter("all", model_version, TODAY)


class TestStatements:
    def test_counts_statements_per_utc_day(self) -> None:
        statement("wrong", _at(2026, 2, 27, 0, 0))
        statement("wrong", _at(2026, 2, 27, 23, 59, 59))
        statement("right", _at(2026, 2, 27, 12))
        statement("unsure", _at(2026, 3, 1, 0, 0))
        statement("", _at(2026, 3, 1, 5), comment="from a legacy client")
        assert statements_by_day(_all()) == [
            Day(date(2026, 2, 27), wrong=2, right=1),
            Day(date(2026, 2, 28)),
            Day(date(2026, 3, 1), unsure=1, reports=1),
        ]

    def test_counts_replaced_statements_too(self) -> None:
        prediction = answer()
        statement("wrong", _at(2026, 3, 1), prediction, is_current=False)
        statement("right", _at(2026, 3, 1), prediction)
        assert statements_by_day(_all()) == [Day(TODAY, wrong=1, right=1)]

    def test_time_begins_at_midnight_utc(self) -> None:
        statement("wrong", _at(2026, 1, 30, 23, 59, 59, 999_999))
        statement("wrong", _at(2026, 1, 31))
        days = statements_by_day(StatisticsFilter("30", today=TODAY))
        assert len(days) == 30
        assert days[0] == Day(date(2026, 1, 31), wrong=1)
        assert sum(day.total for day in days) == 1

    def test_selects_statements_by_model_version(self) -> None:
        statement("wrong", _at(2026, 3, 1), answer(model_version="other@1"))
        statement("right", _at(2026, 3, 1), answer(model_version="fake-net@1"))
        statement("", _at(2026, 3, 1))
        assert statements_by_day(_all("other@1")) == [Day(TODAY, wrong=1)]

    def test_days_without_statements(self, django_assert_num_queries: Callable[[int], Any]) -> None:
        with django_assert_num_queries(1):
            assert statements_by_day(_all()) == []
        with django_assert_num_queries(1):
            assert statements_by_day(StatisticsFilter("30", today=TODAY)) == [
                Day(date(2026, 1, 31) + timedelta(days=later)) for later in range(30)
            ]


class TestCases:
    def test_groups_identical_cases(self, django_assert_num_queries: Callable[[int], Any]) -> None:
        for _ in range(3):
            decided("espresso", "cup", is_disputed=True)
        decided("espresso", "cup", is_disputed=True, in_audit=True)
        case("espresso", model_version="other@1", state="flagged")
        with django_assert_num_queries(1):
            counts = case_counts(StatisticsFilter("30"))
        assert sorted(counts) == [
            CaseCount("espresso", "", "other@1", "flagged", "", False, False, 1),
            CaseCount("espresso", "cup", "fake-net@1", "decided", "corrected", False, True, 3),
            CaseCount("espresso", "cup", "fake-net@1", "decided", "corrected", True, True, 1),
        ]

    def test_selects_cases_by_opening_time(self) -> None:
        opened = datetime.combine(timezone.now().astimezone(UTC).date() - timedelta(days=29), datetime.min.time(), UTC)
        decided("in", "in", opened_at=opened)
        decided("out", "out", opened_at=opened - MINUTE)
        case("in", opened_at=opened)
        assert {count.predicted_label for count in case_counts(StatisticsFilter("30"))} == {"in"}
        assert {count.predicted_label for count in case_counts(StatisticsFilter("90"))} == {"in", "out"}
        assert sum(count.number for count in case_counts(StatisticsFilter("all"))) == 3


class TestQueue:
    NOW = _at(2026, 3, 1, 12)

    def _ages(self, model_version: str = "") -> list[tuple[int, int, int]]:
        return [(age.open, age.claimed, age.flagged) for age in queue_ages(model_version, self.NOW).ages]

    def _opened(self, age: timedelta, **changes: Any) -> Case:
        return case(opened_at=self.NOW - age, **changes)

    def test_upper_bound_of_an_age_belongs_to_the_next(self) -> None:
        for end in (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30)):
            self._opened(end - MINUTE)
            self._opened(end)
        assert self._ages() == [(1, 0, 0), (2, 0, 0), (2, 0, 0), (2, 0, 0), (1, 0, 0)]
        queue = queue_ages("", self.NOW)
        assert queue.open == 8
        assert queue.oldest == self.NOW - timedelta(days=30)

    def test_counts_cases_opened_in_the_future(self) -> None:
        self._opened(-MINUTE)
        assert self._ages()[0] == (1, 0, 0)

    def test_counts_undecided_cases_only(self) -> None:
        decided("espresso", "cup", opened_at=self.NOW)
        self._opened(MINUTE, state="flagged")
        self._opened(timedelta(days=50), state="flagged")
        queue = queue_ages("", self.NOW)
        assert (queue.open, queue.flagged, queue.oldest) == (0, 2, None)

    def test_ignores_expired_claims(self) -> None:
        reviewer = reviewer_named()
        self._opened(MINUTE, claimed_by=reviewer, claimed_until=self.NOW + MINUTE)
        self._opened(MINUTE, claimed_by=reviewer, claimed_until=self.NOW)
        assert self._ages()[0] == (2, 1, 0)

    def test_selects_cases_by_model_version(self, django_assert_num_queries: Callable[[int], Any]) -> None:
        self._opened(MINUTE)
        self._opened(MINUTE, model_version="other@1")
        with django_assert_num_queries(2):
            assert self._ages("other@1")[0] == (1, 0, 0)


@pytest.mark.parametrize(
    ("query", "window", "version"),
    [
        ({}, "90", ""),
        ({"days": "all", "model_version": "net@1"}, "all", "net@1"),
        ({"days": "31", "model_version": "net\x00@1"}, "90", "net@1"),
        ({"days": "", "model_version": "x" * 1000}, "90", "x" * 120),
    ],
)
def test_filter_ignores_unknown_values(query: dict[str, str], window: str, version: str) -> None:
    found = StatisticsFilter.from_query(query)
    assert (found.window, found.model_version) == (window, version)
    assert StatisticsFilter.from_query({"days": window, "model_version": version}) == found
