"""The numbers beside the filters: anew where that costs little, and else a little older than the request."""

from __future__ import annotations

import threading
from itertools import count

import pytest
from django.db import DatabaseError, transaction

from review import facets

# Nothing is counted in a thread within a transaction, which the tests that can be rolled back are.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was counted is too old for the next request."""
    monkeypatch.setattr(facets, "FRESH_SECONDS", -1)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes long to count."""
    monkeypatch.setattr(facets, "SLOW_SECONDS", -1)


def _wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "count cases":
            thread.join(10)
            assert not thread.is_alive()


def test_what_costs_little_is_counted_anew() -> None:
    numbers = count()
    assert [facets.counted_lately("x", lambda: next(numbers)) for _ in range(3)] == [0, 1, 2]


def test_for_some_seconds_nothing_is_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "FRESH_SECONDS", 60)
    numbers = count()
    assert [facets.counted_lately("x", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]


def test_what_takes_long_is_counted_beside_the_request(slow: None) -> None:
    numbers, may_go_on = count(), threading.Event()

    def number() -> int:
        found = next(numbers)
        assert found == 0 or may_go_on.wait(10)
        return found

    assert facets.counted_lately("x", number) == 0
    assert facets.counted_lately("x", number) == 0, "answered at once, though counting has not ended"
    assert facets.counted_lately("x", number) == 0, "and nobody counts beside the one who does"
    may_go_on.set()
    _wait_for_threads()
    assert facets.counted_lately("x", number) == 1
    _wait_for_threads()


def test_in_a_transaction_its_own_rows_count(slow: None) -> None:
    numbers = count()
    with transaction.atomic():
        assert [facets.counted_lately("x", lambda: next(numbers)) for _ in range(2)] == [0, 1]


def test_a_database_that_fails_meanwhile_is_tried_again(slow: None) -> None:
    numbers = count()

    def number() -> int:
        found = next(numbers)
        if found == 1:
            raise DatabaseError
        return found

    assert facets.counted_lately("x", number) == 0
    for _ in range(2):
        assert facets.counted_lately("x", number) == 0
        _wait_for_threads()
    assert facets.counted_lately("x", number) == 2
    _wait_for_threads()
