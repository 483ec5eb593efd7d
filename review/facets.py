"""The orders, states and filters of the queue as links, each with the number of cases it leads to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db.models import Count, Value

from predictions import labels
from review.counting import counted_lately, state_counts
from review.filters import FILTERS, PARTS, RETURNED, STATES, Filter, Filters
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
    """Returns all states, but "Came back" only if a case did.

    Their counts ignore the other filters, so that one query counts them all.
    """
    counts = state_counts()
    chosen = filters.state or "open"
    return [
        FacetChoice(
            title, f"?{replace(filters, state=state).query_string}", state == chosen, counts[state], state in PARTS
        )
        for state, title in STATES.items()
        if state != RETURNED or counts[state] or state == chosen
    ]


def facets(filters: Filters) -> list[Facet]:
    """Returns the filters with their choices. Each count combines the choice with all other filters.

    Takes one query for each label filter, one for each other filter that is set, and one for all the rest, unless they
    were counted recently. A query reads only an index, unless a decided or an expected label is selected.
    """
    shown = [
        entry
        for entry in FILTERS.values()
        if not entry.of_decided or filters.shows_decided or entry.name in filters.values
    ]
    together = [entry for entry in shown if not entry.takes_label and entry.name not in filters.values]
    counts = _counted(filters, together)
    for entry in shown:
        if entry.takes_label:
            counts |= _counted_labels(filters.without(entry.name), entry)
        elif entry not in together:
            counts |= _counted(filters.without(entry.name), [entry])
    return [_facet(filters, entry, counts[entry.name]) for entry in shown]


def _facet(filters: Filters, entry: Filter, counted: dict[str, int]) -> Facet:
    value = filters.values.get(entry.name, "")
    counts: dict[str, int | None] = dict(counted)
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
    return Facet(entry, choices, value, filters.without(entry.name).items())


def _title(entry: Filter, value: str) -> str:
    if entry.choices:
        return entry.choices[value]
    return value.replace("_", " ") if entry.takes_label else value


def _counted(filters: Filters, entries: list[Filter]) -> dict[str, dict[str, int]]:
    """Counts the cases of each choice of filters that are not set, by the filter's name."""
    if not entries:
        return {}
    names = ",".join(entry.name for entry in entries)
    return counted_lately(f"{names}:{_without_order(filters)}", lambda: _count(filters, entries))


def _count(filters: Filters, entries: list[Filter]) -> dict[str, dict[str, int]]:
    """Counts for all entries in one pass: a group for each combination of values, and a column for each condition."""
    columns = [entry.name for entry in entries if not entry.condition]
    conditions = {
        f"{entry.name}_{value}": Count(Value(1), filter=entry.where(value))
        for entry in entries
        if entry.condition
        for value in entry.choices or ()
    }
    groups = list(
        filters.apply(Case.objects.all()).order_by().values(*columns).annotate(number=Count("*"), **conditions)
    )
    counts: dict[str, dict[str, int]] = {}
    for entry in entries:
        counts[entry.name] = found = dict.fromkeys(entry.choices or (), 0)
        for group in groups:
            if entry.condition:
                for value in found:
                    found[value] += group[f"{entry.name}_{value}"]
            elif value := group[entry.name]:
                found[value] = found.get(value, 0) + group["number"]
        if entry.choices is None:
            counts[entry.name] = dict(sorted(found.items()))
    return counts


def _counted_labels(others: Filters, entry: Filter) -> dict[str, dict[str, int]]:
    """Counts the cases of the most frequent labels in a filter's column."""
    return counted_lately(f"{entry.name}:{_without_order(others)}", lambda: {entry.name: _count_labels(others, entry)})


def _count_labels(others: Filters, entry: Filter) -> dict[str, int]:
    cases = others.apply(Case.objects.all()).order_by()
    if entry.counted:
        counts = entry.counted(cases, LABELS_SHOWN)
    else:
        counted = cases.exclude(**{entry.name: ""}).values_list(entry.name).annotate(number=Count("*"))
        counts = dict(counted.order_by("-number", entry.name)[:LABELS_SHOWN])
    # A label that rows may also name by a word that it shares with others: few are.
    for label in counts:
        if len(labels.index().words_for(label)) > 1:
            counts[label] = cases.filter(entry.where(label)).count()
    return counts


def _without_order(filters: Filters) -> str:
    """The filters as a query string; the order of the cases does not change their number."""
    return replace(filters, order="").query_string
