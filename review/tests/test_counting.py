"""Counts of the queue: fast ones are repeated at once, slow ones in a thread."""

from __future__ import annotations

import math
import threading
from itertools import count
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from review import counting
from review.claims import claim_next
from review.models import Case
from review.tests.cases import open_case, reviewer_named

# Within a transaction, as in other tests, nothing is counted in a thread.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def never_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every count too old for the next request."""
    monkeypatch.setattr(counting, "FRESH_SECONDS", -1)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every count a slow one."""
    monkeypatch.setattr(counting, "SLOW_SECONDS", -1)


def _wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "count cases":
            thread.join(10)
            assert not thread.is_alive()


def test_repeats_a_fast_count() -> None:
    numbers = count()
    assert [counting.counted_lately("x", lambda: next(numbers)) for _ in range(3)] == [0, 1, 2]


def test_keeps_a_fresh_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "FRESH_SECONDS", 60)
    numbers = count()
    assert [counting.counted_lately("x", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]


def test_repeats_a_slow_count_in_one_thread(slow: None) -> None:
    numbers, may_go_on = count(), threading.Event()

    def number() -> int:
        found = next(numbers)
        assert found == 0 or may_go_on.wait(10)
        return found

    assert counting.counted_lately("x", number) == 0
    assert counting.counted_lately("x", number) == 0, "the old count, while the thread counts"
    assert counting.counted_lately("x", number) == 0, "no second thread"
    may_go_on.set()
    _wait_for_threads()
    assert counting.counted_lately("x", number) == 1
    _wait_for_threads()


def test_repeats_a_slow_count_at_once_within_a_transaction(slow: None) -> None:
    numbers = count()
    with transaction.atomic():
        assert [counting.counted_lately("x", lambda: next(numbers)) for _ in range(2)] == [0, 1]


def test_counts_again_after_a_database_error(slow: None) -> None:
    numbers = count()

    def number() -> int:
        found = next(numbers)
        if found == 1:
            raise DatabaseError
        return found

    assert counting.counted_lately("x", number) == 0
    for _ in range(2):
        assert counting.counted_lately("x", number) == 0
        _wait_for_threads()
    assert counting.counted_lately("x", number) == 2
    _wait_for_threads()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL collects its statistics itself")
def test_counting_updates_sqlites_planner_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_statistics_updated_at", -math.inf)
    for _ in range(3):
        open_case(statements=0)
    claim_next(reviewer_named())
    claimed = Case.objects.claimed(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("DELETE FROM sqlite_stat1")
    connection.close()
    assert "case_claimed" not in claimed.explain()
    counting.state_counts()
    connection.close()  # a connection reads the statistics when it opens
    assert "case_claimed" in claimed.explain()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL collects its statistics itself")
def test_counting_updates_the_statistics_once_an_hour(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(counting, "_statistics_updated_at", -math.inf)
    cache.clear()
    with django_assert_num_queries(2):
        counting.state_counts()
    cache.clear()
    with django_assert_num_queries(1):
        counting.state_counts()
