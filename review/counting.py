"""Counts of cases, kept for a short time because every page of the queue shows many of them."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.core.cache import cache
from django.db import DatabaseError, connection, connections
from django.db.models import Count, Value
from django.utils import timezone

from feedback.models import Feedback
from review.filters import CLAIMED, RETURNED, STATES
from review.models import Case

logger = logging.getLogger(__name__)

FRESH_SECONDS = 5
SLOW_SECONDS = 0.02  # counts that take longer may be older than `FRESH_SECONDS`
OLDEST_SECONDS = 300
STATISTICS_SECONDS = 3600  # the shortest time between two updates of SQLite's statistics in one process

_statistics_updated_at = -math.inf  # `time.monotonic`

T = TypeVar("T")


@dataclass(frozen=True)
class _Counted(Generic[T]):
    """A count. `at`: when it was made, in seconds since 1970. `seconds`: how long it took."""

    value: T
    at: float
    seconds: float


def counted_lately(name: str, count: Callable[[], T]) -> T:
    """Returns what `count` returns, or what it returned recently in this process.

    A slow count may be older: a thread repeats it for the next request. Counts are slow only if there are many cases,
    and then one case more or less does not matter.
    """
    # The name may contain what somebody has typed; cache keys have at most 250 characters.
    key = f"cases:{hashlib.sha256(name.encode()).hexdigest()}"
    known: _Counted[T] | None = cache.get(key)
    now = time.time()
    if known is not None and now - known.at < FRESH_SECONDS:
        return known.value
    # The thread has another connection, which would not see what this transaction has written.
    if known is not None and known.seconds > SLOW_SECONDS and not connection.in_atomic_block:
        if cache.add(f"{key}:counting", True, OLDEST_SECONDS):
            threading.Thread(target=_count_in_thread, args=(key, count), name="count cases", daemon=True).start()
        return known.value
    return _count_now(key, count)


def _count_now(key: str, count: Callable[[], T]) -> T:
    started = time.monotonic()
    value = count()
    cache.set(key, _Counted(value, time.time(), time.monotonic() - started), OLDEST_SECONDS)
    return value


def _count_in_thread(key: str, count: Callable[[], T]) -> None:
    try:
        _count_now(key, count)
    except DatabaseError:
        logger.warning("Cases could not be counted.", exc_info=True)
    finally:
        cache.delete(f"{key}:counting")
        connections.close_all()


def state_counts() -> dict[str, int]:
    """Returns the number of cases in each of `STATES`."""
    return counted_lately("states", _count_states)


def _count_states() -> dict[str, int]:
    counts = dict.fromkeys(STATES, 0)
    everything = Case.objects.order_by().values_list("state", "verdict").annotate(number=Count("*"))
    parts = {CLAIMED: Case.objects.claimed(timezone.now()), RETURNED: Case.objects.returned()}
    counted = [
        cases.order_by().annotate(part=Value(part), none=Value("")).values_list("part", "none").annotate(n=Count("*"))
        for part, cases in parts.items()
    ]
    for state, verdict, number in everything.union(*counted, all=True):
        counts[state] += number
        if verdict:
            counts[verdict] += number
        if state not in parts:
            counts["all"] += number
    update_planner_statistics()
    return counts


def verdict_counts() -> dict[str, int]:
    """Returns the number of current statements by verdict; reports of legacy clients have an empty one."""
    statements = Feedback.objects.current().order_by().values_list("verdict").annotate(number=Count("*"))
    return counted_lately("verdicts", lambda: dict.fromkeys(["", *Feedback.Verdict.values], 0) | dict(statements))


def update_planner_statistics() -> None:
    """Runs ANALYZE if SQLite considers its planner's statistics outdated. PostgreSQL's autovacuum does this by itself.

    Without statistics SQLite guesses among the indexes that begin with `state`. With 20,000 cases it then reads all
    open cases for a page of old ones (17 ms instead of 1.4) or for the counts within a label (19 ms instead of 1.6).
    With 100,000 cases ANALYZE takes 150 ms, and SQLite 3.40 repeats it as long as an index has no rows, such as that of
    claims when nobody reviews: therefore once an hour at most.
    """
    global _statistics_updated_at
    if connection.vendor != "sqlite" or time.monotonic() - _statistics_updated_at < STATISTICS_SECONDS:
        return
    _statistics_updated_at = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA optimize")
    except DatabaseError:  # another connection is writing: the next count tries again
        logger.debug("SQLite's statistics were not updated.", exc_info=True)
