"""The orders, states and filters of the queue as links, each with the number of cases it leads to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db.models import Count, Value

from review.counting import counted_lately, state_counts
from review.filters import FILTERS, PARTS, STATES, Filter, Filters
from review.models import Case
from review.orders import ORDERS

LABELS_SHOWN = 12  # all others can be typed


@dataclass(frozen=True)
class FacetChoice:
    """An order, a state or a value of a filter, as a link. `query` selects it, or deselects a selected value.

    `is_part`: its cases also belong to the choice before it.
    """

    title: str
    query: str
    is_chosen: bool
    count: int | None = None
    is_part: bool = False


@dataclass(frozen=True)
class Facet:
    """A filter with its choices. `others`: the other filters that are set, for the form that takes a typed label."""

    filter: Filter
    choices: list[FacetChoice]
    value: str
    others: list[tuple[str, str]]


def orders(filters: Filters) -> list[FacetChoice]:
    return [
        FacetChoice(order.title, f"?{replace(filters, order=key).query_string}", key == filters.order_key)
        for key, order in ORDERS.items()
    ]


def states(filters: Filters) -> list[FacetChoice]:
    """Returns all states. Their counts ignore the other filters, so that one query counts them all."""
    counts = state_counts()
    chosen = filters.state or "open"
    return [
        FacetChoice(
            title, f"?{replace(filters, state=state).query_string}", state == chosen, counts[state], state in PARTS
        )
        for state, title in STATES.items()
    ]


def facets(filters: Filters) -> list[Facet]:
    """Returns the filters with their choices. Each count combines the choice with all other filters.

    Takes one query for each filter that was not counted recently. A query reads only an index, unless a decided or an
    expected label is selected.
    """
    shown = [
        entry
        for entry in FILTERS.values()
        if not entry.of_decided or filters.shows_decided or entry.name in filters.values
    ]
    return [_facet(filters, entry) for entry in shown]


def _facet(filters: Filters, entry: Filter) -> Facet:
    others = filters.without(entry.name)
    value = filters.values.get(entry.name, "")
    # The order of the cases does not change their number.
    counts: dict[str, int | None] = dict(
        counted_lately(f"{entry.name}:{replace(others, order='').query_string}", lambda: _counts(others, entry))
    )
    if value and value not in counts:
        counts = {value: None, **counts}
    choices = [
        FacetChoice(
            _title(entry, choice),
            f"?{filters.replaced(entry.name, '' if choice == value else choice).query_string}",
            choice == value,
            number,
        )
        for choice, number in counts.items()
    ]
    return Facet(entry, choices, value, others.items())


def _title(entry: Filter, value: str) -> str:
    if entry.choices:
        return entry.choices[value]
    return value.replace("_", " ") if entry.takes_label else value


def _counts(others: Filters, entry: Filter) -> dict[str, int]:
    if entry.counted:
        return entry.counted(others.apply(Case.objects.all()), LABELS_SHOWN)
    return _count_conditions(others, entry) if entry.condition else _count_values(others, entry)


def _count_values(others: Filters, entry: Filter) -> dict[str, int]:
    """Counts the cases of each value in a filter's column; of labels, only the most frequent ones."""
    cases = others.apply(Case.objects.all()).exclude(**{entry.name: ""}).order_by()
    counted = cases.values_list(entry.name).annotate(number=Count("*"))
    if entry.choices:
        return dict.fromkeys(entry.choices, 0) | dict(counted)
    if entry.takes_label:
        return dict(counted.order_by("-number", entry.name)[:LABELS_SHOWN])
    return dict(counted.order_by(entry.name))


def _count_conditions(others: Filters, entry: Filter) -> dict[str, int]:
    """Counts the cases that meet the condition of each choice. One query, in which each count can use its own index."""
    choices = entry.choices or {}
    cases = others.apply(Case.objects.all()).order_by()
    first, *rest = (
        cases.filter(entry.where(value)).annotate(value=Value(value)).values_list("value").annotate(number=Count("*"))
        for value in choices
    )
    return dict.fromkeys(choices, 0) | dict(first.union(*rest, all=True))
