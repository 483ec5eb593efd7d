"""The filters of the queue with their choices, and how many cases each of them would show."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Generic, TypeVar

from django.core.cache import cache
from django.db import DatabaseError, connection, connections
from django.db.models import Count, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from review.filters import AGES, CLAIMED, PARTS, STATES, Filters
from review.models import Case
from review.orders import ORDERS

logger = logging.getLogger(__name__)

LABELS = 12  # that are offered at once; all others can be typed
FRESH_SECONDS = 5
SLOW_SECONDS = 0.02  # what takes longer to count may be older than that
OLDEST_SECONDS = 300

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """`query` is the address that chooses it, and takes it back where it is chosen already.

    `is_part`: counted in the one before, too.
    """

    title: str
    query: str
    is_chosen: bool
    count: int | None = None
    is_part: bool = False


@dataclass(frozen=True)
class Facet:
    """`takes_text`: a label that is not among the choices may be typed. `others`: the filters that stay then."""

    name: str
    title: str
    choices: list[Choice]
    value: str = ""
    takes_text: bool = False
    others: tuple[tuple[str, str], ...] = ()


def orders(filters: Filters) -> list[Choice]:
    return [
        Choice(order.title, f"?{replace(filters, order=key).query_string}", key == filters.order_key)
        for key, order in ORDERS.items()
    ]


def states(filters: Filters) -> list[Choice]:
    """Every state with its number of cases: of all cases, whatever else is filtered by, so that one query counts."""
    number = state_counts()
    chosen = filters.state or "open"
    return [
        Choice(title, f"?{replace(filters, state=state).query_string}", state == chosen, number[state], state in PARTS)
        for state, title in STATES.items()
    ]


def state_counts() -> dict[str, int]:
    """How many cases are in each state, as `STATES` names them."""
    return counted_lately("states", _count_states)


def counted_lately(name: str, count: Callable[[], T]) -> T:
    """What `count` returns, or has returned in this process a moment ago.

    What took long to count, because there are so many, may be older: it is counted anew beside the request, for the
    next one. Of a hundred thousand cases nobody sees the last one; of twenty everybody does.
    """
    key = f"cases:{name}"
    known: _Counted[T] | None = cache.get(key)
    now = time.time()
    if known is not None and now - known.at < FRESH_SECONDS:
        return known.value
    # Another connection would not see what this transaction has written.
    if known is not None and known.seconds > SLOW_SECONDS and not connection.in_atomic_block:
        if cache.add(f"{key}:counting", True, OLDEST_SECONDS):
            threading.Thread(target=_count_beside, args=(key, count), name="count cases", daemon=True).start()
        return known.value
    return _count_now(key, count)


@dataclass(frozen=True)
class _Counted(Generic[T]):
    """`at`: when, in seconds since 1970. `seconds`: how long it took."""

    value: T
    at: float
    seconds: float


def _count_now(key: str, count: Callable[[], T]) -> T:
    started = time.monotonic()
    value = count()
    cache.set(key, _Counted(value, time.time(), time.monotonic() - started), OLDEST_SECONDS)
    return value


def _count_beside(key: str, count: Callable[[], T]) -> None:
    try:
        _count_now(key, count)
    except DatabaseError:
        logger.warning("Cases could not be counted.", exc_info=True)
    finally:
        cache.delete(f"{key}:counting")
        connections.close_all()


def _count_states() -> dict[str, int]:
    number = dict.fromkeys(STATES, 0)
    everything = Case.objects.order_by().values_list("state", "verdict").annotate(number=Count("*"))
    claimed = Case.objects.claimed(timezone.now()).order_by().annotate(part=Value(CLAIMED), none=Value(""))
    claimed_now = claimed.values_list("part", "none").annotate(number=Count("*"))
    for state, verdict, count in everything.union(claimed_now, all=True):
        number[state] += count
        if verdict:
            number[verdict] += count
        if state != CLAIMED:
            number["all"] += count
    return number


def facets(filters: Filters) -> list[Facet]:
    """Each filter's choices with the number of cases that it and all the other filters together would show.

    Three queries, four where decided cases are among those shown; none for what was counted lately. Unless a decided
    label is chosen, each of them reads an index and no row.
    """
    found = [
        _labels(filters, "predicted_label", "The model said"),
        _labels(filters, "expected_label", "People expect"),
    ]
    if filters.label or filters.state not in {"", "open", CLAIMED, "flagged"}:
        found.append(_labels(filters, "label", "Decided as"))
    return [*found, *_small(filters)]


def _labels(filters: Filters, name: str, title: str) -> Facet:
    others = filters.without(name)
    rows = _counted_for(others, name, lambda: _count_labels(others, name))
    choices = [_choice(filters, name, value, value.replace("_", " "), number) for value, number in rows]
    value = getattr(filters, name)
    if value and value not in {row[0] for row in rows}:
        choices.insert(0, _choice(filters, name, value, value.replace("_", " "), None))
    return Facet(name, title, choices, value, takes_text=True, others=tuple(others.items()))


def _count_labels(others: Filters, name: str) -> list[tuple[str, int]]:
    cases = others.apply(Case.objects.all()).order_by()
    is_something = ~Q(**{name: ""})
    if connection.vendor == "sqlite" and others.has_only_state:
        # "Greater than nothing" leads SQLite, which chooses among the indexes that begin with the state by guessing, to
        # the one that goes on with this column. With more to filter by it would mislead, and PostgreSQL does not need
        # it, which compares by the rules of a language, and slowly.
        is_something = Q(**{f"{name}__gt": ""})
    counted = cases.filter(is_something).values_list(name).annotate(number=Count("*"))
    return list(counted.order_by("-number", name)[:LABELS])


@dataclass(frozen=True)
class _Group:
    """Cases of one source and one model version. `younger`: how many are younger than each of the limits of `AGES`."""

    source: str
    model_version: str
    number: int
    younger: dict[timedelta, int]

    def aged(self, age: str) -> int:
        """How many are of that age, as `AGES` names it; of any, if it is empty."""
        if not age:
            return self.number
        _title, at_least, less_than = AGES[age]
        number = self.younger[less_than] if less_than else self.number
        return number - self.younger[at_least] if at_least else number


def _small(filters: Filters) -> list[Facet]:
    """The filters that have few values. One query counts for all of them: source by model version by age."""
    others = filters.without("source").without("model_version").without("age")
    groups = _counted_for(others, "groups", lambda: _count_groups(others))
    of_source = [group for group in groups if filters.source in {"", group.source}]
    of_version = [group for group in groups if filters.model_version in {"", group.model_version}]
    of_both = [group for group in of_source if group in of_version]
    sources = dict.fromkeys(Case.Source.values, 0)
    versions: dict[str, int] = {}
    for group in of_version:
        sources[group.source] = sources.get(group.source, 0) + group.aged(filters.age)
    for group in of_source:
        versions[group.model_version] = versions.get(group.model_version, 0) + group.aged(filters.age)
    ages = {age: sum(group.aged(age) for group in of_both) for age in AGES}
    return [
        _facet(filters, "source", "Source", dict(Case.Source.choices), sources),
        _facet(filters, "model_version", "Model version", {name: name for name in sorted(versions)}, versions),
        _facet(filters, "age", "Age", {age: title for age, (title, _at_least, _less_than) in AGES.items()}, ages),
    ]


def _facet(filters: Filters, name: str, title: str, shown: Mapping[str, str], counts: Mapping[str, int]) -> Facet:
    choices = [_choice(filters, name, value, text, counts[value]) for value, text in shown.items()]
    return Facet(name, title, choices, getattr(filters, name))


def _count_groups(others: Filters) -> list[_Group]:
    now = timezone.now()
    limits = {limit for _title, *both in AGES.values() for limit in both if limit}
    names = {limit: f"within_{int(limit.total_seconds())}" for limit in limits}
    cases = others.apply(Case.objects.all()).order_by()
    source = "source"
    if not others.has_only_state:
        # An expression keeps SQLite from the index that has the groups in their order, and would have it read all rows.
        source, cases = "any_source", cases.annotate(any_source=Concat("source", Value("")))
    counted = cases.values(source, "model_version").annotate(
        number=Count("*"),
        **{name: Count("source", filter=Q(opened_at__gt=now - limit)) for limit, name in names.items()},
    )
    return [
        _Group(row[source], row["model_version"], row["number"], {limit: row[name] for limit, name in names.items()})
        for row in counted
    ]


def _counted_for(filters: Filters, what: str, count: Callable[[], T]) -> T:
    """What `count` counts of the cases that these filters show, in whatever order."""
    name = hashlib.sha256(repr(replace(filters, order="")).encode()).hexdigest()
    return counted_lately(f"{what}:{name}", count)


def _choice(filters: Filters, name: str, value: str, title: str, count: int | None) -> Choice:
    is_chosen = getattr(filters, name) == value
    chosen = replace(filters, **{name: "" if is_chosen else value})
    return Choice(title, f"?{chosen.query_string}", is_chosen, count)
