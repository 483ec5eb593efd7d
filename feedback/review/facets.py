"""The filters of the queue with their choices, and how many cases each of them would show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from django.core.cache import cache
from django.db.models import Count, Q, Value
from django.utils import timezone

from feedback.models import Case
from feedback.review.filters import AGES, CLAIMED, STATES, Filters
from feedback.review.queue import ORDERS

LABELS = 12  # that are offered at once; all others can be typed
FRESH_SECONDS = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """`query` is the address that chooses it, and takes it back where it is chosen already."""

    title: str
    query: str
    is_chosen: bool
    count: int | None = None


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
        Choice(title, f"?{replace(filters, state=state).query_string}", state == chosen, number[state])
        for state, title in STATES.items()
    ]


def state_counts() -> dict[str, int]:
    """How many cases are in each state, as `STATES` names them. Not older than `FRESH_SECONDS`."""
    return counted_lately("states", _count_states)


def counted_lately(name: str, count: Callable[[], T]) -> T:
    """What `count` returns, or has returned in this process a moment ago.

    The list asks for the same number more than once, and of a hundred thousand cases nobody sees the last one.
    """
    found: T | None = cache.get(f"cases:{name}")
    if found is None:
        found = count()
        cache.set(f"cases:{name}", found, FRESH_SECONDS)
    return found


def _count_states() -> dict[str, int]:
    number = dict.fromkeys(STATES, 0)
    claimed = Case.objects.open().filter(claimed_until__gt=timezone.now()).annotate(part=Value(CLAIMED))
    everything = Case.objects.annotate(part=Value("all"))
    queries = [
        cases.order_by().values_list("part", "state", "verdict").annotate(number=Count("pk"))
        for cases in (everything, claimed)
    ]
    for part, state, verdict, count in queries[0].union(queries[1], all=True):
        number[part] += count
        if part == "all":
            number[state] += count
        if part == "all" and verdict:
            number[verdict] += count
    return number


def facets(filters: Filters) -> list[Facet]:
    """Each filter's choices with the number of cases that it and all the other filters together would show.

    Four queries, five where decided cases are among those shown; none if the same was asked less than `FRESH_SECONDS`
    ago. With nothing but a state to filter by, each of them reads an index and no row.
    """
    name = hashlib.sha256(repr(filters).encode()).hexdigest()
    return counted_lately(name, lambda: _count_facets(filters))


def _count_facets(filters: Filters) -> list[Facet]:
    found = [
        _labels(filters, "predicted_label", "The model said"),
        _labels(filters, "expected_label", "People expect"),
    ]
    if filters.label or filters.state not in {"", "open", CLAIMED, "flagged"}:
        found.append(_labels(filters, "label", "Decided as"))
    counted = _count_small(filters)
    sources = [(value, title, counted["source"].get(value, 0)) for value, title in Case.Source.choices]
    versions = [(value, value, number) for value, number in sorted(counted["model_version"].items())]
    for name, title, rows in (("source", "Source", sources), ("model_version", "Model version", versions)):
        choices = [_choice(filters, name, value, shown, number) for value, shown, number in rows]
        found.append(Facet(name, title, choices, getattr(filters, name)))
    return [*found, _ages(filters)]


def _labels(filters: Filters, name: str, title: str) -> Facet:
    rows = _grouped(filters, name).order_by("-number", name)[:LABELS]
    choices = [_choice(filters, name, value, value.replace("_", " "), number) for value, number in rows]
    value = getattr(filters, name)
    if value and value not in {row[0] for row in rows}:
        choices.insert(0, _choice(filters, name, value, value.replace("_", " "), None))
    return Facet(name, title, choices, value, takes_text=True, others=tuple(filters.without(name).items()))


def _count_small(filters: Filters) -> dict[str, dict[str, int]]:
    """The numbers of the filters that have few values, by filter and value: in one query."""
    names = ("source", "model_version")
    first, second = (_grouped(filters, name, Value(name)).values_list("part", name, "number") for name in names)
    counted: dict[str, dict[str, int]] = {name: {} for name in names}
    for name, value, number in first.union(second, all=True):
        counted[name][value] = number
    return counted


def _ages(filters: Filters) -> Facet:
    """Only the younger ones are counted one by one: what is left of all is older."""
    now = timezone.now()
    within = filters.without("age").apply(Case.objects.all())
    limits = {less_than for _title, _at_least, less_than in AGES.values() if less_than}
    limits |= {at_least for _title, at_least, _less_than in AGES.values() if at_least}
    names = {limit: f"within_{int(limit.total_seconds())}" for limit in limits}
    younger = within.filter(opened_at__gt=now - max(limits)).aggregate(
        **{name: Count("pk", filter=Q(opened_at__gt=now - limit)) for limit, name in names.items()}
    )
    everything = state_counts()[filters.state or "open"] if filters.without("age").has_only_state else within.count()
    choices = []
    for age, (title, at_least, less_than) in AGES.items():
        number = younger[names[less_than]] if less_than else everything - younger[names[at_least]]  # type: ignore[index]
        choices.append(_choice(filters, "age", age, title, number))
    return Facet("age", "Age", choices, filters.age)


def _grouped(filters: Filters, name: str, part: Value | None = None) -> Any:
    others = filters.without(name)
    cases = others.apply(Case.objects.all()).order_by()
    # "Greater than nothing" leads SQLite, which chooses among the indexes that begin with the state by guessing, to the
    # one that holds this column too: 3 ms instead of 30 for 100,000 cases. With more to filter by it would mislead it.
    is_something = Q(**{f"{name}__gt": ""}) if others.has_only_state else ~Q(**{name: ""})
    cases = cases.filter(is_something)
    if part is not None:
        cases = cases.annotate(part=part)
        return cases.values("part", name).annotate(number=Count("pk"))
    return cases.values_list(name).annotate(number=Count("pk"))


def _choice(filters: Filters, name: str, value: str, title: str, count: int | None) -> Choice:
    is_chosen = getattr(filters, name) == value
    chosen = replace(filters, **{name: "" if is_chosen else value})
    return Choice(title, f"?{chosen.query_string}", is_chosen, count)
