"""Which cases a reviewer wants to see: what the queue, the grid and "next for me" have in their addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Self
from urllib.parse import urlencode

from django.db.models.functions import Coalesce
from django.utils import timezone

from review.models import Case, CaseQuerySet
from review.orders import DEFAULT_ORDER, ORDERS

CLAIMED = "claimed"

# The states that one can ask for. Each one's name is that of its part of the queue, a claim being a state too.
STATES = {
    "open": "Open",
    CLAIMED: "Claimed now",
    "flagged": "Flagged",
    "decided": "Decided",
    "right": "Confirmed right",
    "corrected": "Corrected",
    "unusable": "Unusable",
    "all": "All",
}

# Those that are counted in the one before them, too.
PARTS = frozenset({CLAIMED, *Case.Verdict.values})

AGES = {
    "hour": ("Less than an hour", None, timedelta(hours=1)),
    "day": ("Less than a day", None, timedelta(days=1)),
    "week": ("Less than a week", None, timedelta(days=7)),
    "older": ("A week and more", timedelta(days=7), None),
    "month": ("30 days and more", timedelta(days=30), None),
}


@dataclass(frozen=True)
class Filters:
    """Empty means everything, but for `state`, where it means the open ones, and `order`, the default one.

    What is not known is ignored: an address that somebody kept must not break.
    """

    state: str = ""
    predicted_label: str = ""
    expected_label: str = ""
    label: str = ""
    model_version: str = ""
    source: str = ""
    age: str = ""
    order: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        values = {field.name: query.get(field.name, "").replace("\x00", "")[:200] for field in fields(cls)}
        known = {"state": STATES, "source": Case.Source.values, "age": AGES, "order": ORDERS}
        return cls(
            **{name: "" if name in known and value not in known[name] else value for name, value in values.items()}
        )

    @property
    def order_key(self) -> str:
        return self.order or DEFAULT_ORDER

    @property
    def columns(self) -> tuple[str, ...]:
        return ORDERS[self.order_key].columns

    @property
    def query_string(self) -> str:
        """As it stands in an address: only what is not empty, without a question mark."""
        return urlencode(self.items())

    @property
    def has_only_state(self) -> bool:
        return not any(value for name, value in self.items() if name not in {"state", "order"})

    def items(self) -> list[tuple[str, str]]:
        """Name and value of each that is not empty, for a form."""
        return [(name, value) for name, value in asdict(self).items() if value]

    def without(self, name: str) -> Filters:
        return Filters(**(asdict(self) | {name: ""}))

    def apply(self, cases: CaseQuerySet) -> CaseQuerySet:
        """Those of `cases` that fit, in the order of `cases`."""
        cases = self.within_state(cases)
        for name in ("predicted_label", "expected_label", "label", "model_version", "source"):
            if value := getattr(self, name):
                cases = cases.filter(**{name: value})
        if self.age:
            _title, at_least, less_than = AGES[self.age]
            now = timezone.now()
            if at_least:
                # Most are that old. An expression keeps SQLite from reading all of them, to sort them by another order.
                cases = cases.annotate(opened=Coalesce("opened_at", "opened_at")).filter(opened__lte=now - at_least)
            if less_than:
                cases = cases.filter(opened_at__gt=now - less_than)
        return cases

    def within_state(self, cases: CaseQuerySet) -> CaseQuerySet:
        return _WITHIN[self.state or "open"](cases)


_WITHIN: dict[str, Callable[[CaseQuerySet], CaseQuerySet]] = (
    {
        "open": lambda cases: cases.open(),
        CLAIMED: lambda cases: cases.claimed(timezone.now()),
        "all": lambda cases: cases,
    }
    | {state: lambda cases, state=state: cases.filter(state=state) for state in ("flagged", "decided")}
    | {
        verdict: lambda cases, verdict=verdict: cases.filter(state="decided", verdict=verdict)
        for verdict in Case.Verdict.values
    }
)
