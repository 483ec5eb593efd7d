"""The filters of the queue. The list, the grid and "next for me" all read them from their address.

To add a filter, add an entry to `FILTERS`: the pages, their counts and the addresses follow from it. If it filters by
another column of `Case`, add that column to the `case_by_...` indexes, so that the counts read no rows. "People expect"
filters by the statements themselves: people may expect several labels of one picture. Rows of earlier releases may have
a word that several labels share, such as `crane`: a filter by one of these labels finds them, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.db.models.functions import Coalesce
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone

from feedback.models import Feedback
from predictions import labels
from review.models import Case, CaseQuerySet
from review.orders import DEFAULT_ORDER, ORDERS

CLAIMED = "claimed"
RETURNED = "returned"
VALUE_MAX_LENGTH = 200

# The states that the queue can show. A claim, a return and each verdict count as states of their own.
STATES = {
    "open": "Open",
    CLAIMED: "Claimed now",
    RETURNED: "Came back",
    "flagged": "Flagged",
    "decided": "Decided",
    "right": "Confirmed right",
    "corrected": "Corrected",
    "no-label": "No label fits",
    "unusable": "Unusable",
    "erased": "Erased",
    "all": "All",
}

# States that are also counted in the state before them: "open" or "decided".
PARTS = frozenset({CLAIMED, RETURNED, *Case.Outcome.values})

# value: title, limit, whether cases must be older than the limit (or else younger)
AGES = {
    "hour": ("Less than an hour", timedelta(hours=1), False),
    "day": ("Less than a day", timedelta(days=1), False),
    "week": ("Less than a week", timedelta(days=7), False),
    "older": ("A week and more", timedelta(days=7), True),
    "month": ("30 days and more", timedelta(days=30), True),
}


@dataclass(frozen=True)
class Filter:
    """One filter of the queue.

    `choices`: its values with their titles; if `None`, every value is one.
    `condition`: the condition for one value; if `None`, the column `name` equals the value.
    `counted`: counts the given cases of each value, most frequent first, up to a number of values; if `None`, they are
    counted by the column `name`, or by `condition` for each of the `choices`.
    `takes_label`: any label can be typed, too.
    `of_decided`: only decided cases have a value.
    """

    name: str
    title: str
    choices: Mapping[str, str] | None = None
    condition: Callable[[str], Q] | None = None
    counted: Callable[[CaseQuerySet, int], dict[str, int]] | None = None
    takes_label: bool = False
    of_decided: bool = False

    def where(self, value: str) -> Q:
        if self.condition:
            return self.condition(value)
        return Q(**{f"{self.name}__in": _words(value)}) if self.takes_label else Q(**{self.name: value})


def _words(label: str) -> tuple[str, ...]:
    """Returns the words of rows that may mean a label: of earlier releases, `crane` may mean `crane (bird)`."""
    return labels.index().words_for(label)


def _has_age(age: str) -> Q:
    _title, limit, is_older = AGES[age]
    since = timezone.now() - limit
    if not is_older:
        return Q(opened_at__gt=since)
    # Most cases are that old. COALESCE keeps SQLite from reading their rows by the index of `opened_at`: with 20,000
    # cases the counts by source take 8 ms instead of 43, those by model version 12 instead of 70.
    return Q(LessThanOrEqual(Coalesce("opened_at", "opened_at"), since))


# Statements in the index that this filter uses. SQLite uses it only if the query has both conditions of the index.
_EXPECTING = Feedback.objects.current().exclude(expected_label="").order_by()


def _is_expected(label: str) -> Q:
    return Q(image__in=_EXPECTING.filter(expected_label__in=_words(label)).values("image"))


def _count_expected(cases: CaseQuerySet, most: int) -> dict[str, int]:
    """Counts the cases in which somebody expects a label. A case may count for several labels.

    Most cases have one expected label, which an index of the cases counts. Statements are read only about the others:
    with 100,000 cases and 270,000 labels in statements, reading them all takes 120 ms on SQLite.
    """
    cases = cases.order_by()
    with_one = cases.exclude(has_other_expected_labels=True).exclude(expected_label="")
    counts = Counter(dict(with_one.values_list("expected_label").annotate(number=Count("*"))))
    statements = _EXPECTING.filter(image__in=cases.filter(has_other_expected_labels=True).values("image"))
    counts.update(dict(statements.values_list("expected_label").annotate(number=Count("image", distinct=True))))
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:most])


FILTERS = {
    entry.name: entry
    for entry in (
        Filter("predicted_label", "The model said", takes_label=True),
        Filter("expected_label", "People expect", condition=_is_expected, counted=_count_expected, takes_label=True),
        Filter("label", "Decided as", takes_label=True, of_decided=True),
        Filter("source", "Source", choices=dict(Case.OpenedBy.choices)),
        Filter("model_version", "Model version"),
        Filter("age", "Age", choices={age: title for age, (title, *_limit) in AGES.items()}, condition=_has_age),
    )
}


@dataclass(frozen=True)
class Filters:
    """The cases that a reviewer wants to see: their state, their order and the value of each filter that is set.

    An empty `state` means the open cases, an empty `order` the default order.
    """

    state: str = ""
    order: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """Reads the parameters of an address. Ignores unknown values, so that bookmarks keep working."""

        def known(name: str, choices: Mapping[str, object] | None) -> str:
            value = query.get(name, "").replace("\x00", "")[:VALUE_MAX_LENGTH]
            return value if choices is None or value in choices else ""

        values = {name: value for name, entry in FILTERS.items() if (value := known(name, entry.choices))}
        for name, value in values.items():
            if FILTERS[name].takes_label:  # the field holds it as pages show it
                values[name] = labels.index().word_of(value)
        return cls(known("state", STATES), known("order", ORDERS), values)

    @property
    def order_key(self) -> str:
        return self.order or DEFAULT_ORDER

    @property
    def columns(self) -> tuple[str, ...]:
        return ORDERS[self.order_key].columns

    @property
    def query_string(self) -> str:
        """The parameters for an address, without a question mark."""
        return urlencode(self.items())

    @property
    def shows_decided(self) -> bool:
        return self.state not in {"", "open", CLAIMED, RETURNED, "flagged"}

    def items(self) -> list[tuple[str, str]]:
        """Name and value of everything that is set."""
        values = [(name, self.values[name]) for name in FILTERS if name in self.values]
        return [(name, value) for name, value in [("state", self.state), *values, ("order", self.order)] if value]

    def replaced(self, name: str, value: str) -> Filters:
        """The same filters with another value for one of them; an empty value removes it."""
        others = {key: other for key, other in self.values.items() if key != name}
        return replace(self, values=others | {name: value} if value else others)

    def without(self, name: str) -> Filters:
        return self.replaced(name, "")

    def of_undecided(self) -> Filters:
        """The same filters without those that no undecided case can match."""
        return replace(
            self, values={name: value for name, value in self.values.items() if not FILTERS[name].of_decided}
        )

    def apply(self, cases: CaseQuerySet) -> CaseQuerySet:
        """Narrows `cases` to those that match; keeps their order."""
        return self.apply_values(_IN_STATE[self.state or "open"](cases))

    def apply_values(self, cases: CaseQuerySet) -> CaseQuerySet:
        """Narrows `cases` as `apply` does, but in every state."""
        for name, value in self.values.items():
            cases = cases.filter(FILTERS[name].where(value))
        return cases


_IN_STATE: dict[str, Callable[[CaseQuerySet], CaseQuerySet]] = (
    {
        "open": lambda cases: cases.open(),
        CLAIMED: lambda cases: cases.claimed(timezone.now()),
        RETURNED: lambda cases: cases.returned(),
        "all": lambda cases: cases,
    }
    | {state: lambda cases, state=state: cases.filter(state=state) for state in ("flagged", "decided", "erased")}
    | {
        verdict: lambda cases, verdict=verdict: cases.filter(state="decided", verdict=verdict)
        for verdict in Case.Outcome.values
    }
)
