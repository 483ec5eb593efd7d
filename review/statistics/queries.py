"""Counts statements by day, cases by everything that an estimate needs, and undecided cases by age.

There may be 100,000 cases and half a million statements. So there are few queries, and each reads one index or makes
one pass over a table.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, Min, Q
from django.db.models.functions import TruncDate
from django.db.models.sql.compiler import SQLCompiler

from feedback.models import Feedback
from review.models import Case, CaseQuerySet
from review.statistics.filter import StatisticsFilter


def has_data() -> bool:
    return Case.objects.exists() or Feedback.objects.exists()


# --- Statements -----------------------------------------------------------------------------------


class UtcDay(TruncDate):
    """The UTC day of a datetime.

    On SQLite, Django calls a Python function for each row, which takes seconds for half a million rows. SQLite stores
    datetimes as UTC text that begins with the day, so a substring is enough.
    """

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_extra: Any) -> tuple[str, Any]:
        sql, parameters = compiler.compile(self.lhs)
        return f"SUBSTR({sql}, 1, 10)", parameters


@dataclass(frozen=True)
class Day:
    """The numbers of statements on one UTC day. `reports`: free text from legacy clients, which names no answer."""

    day: date
    wrong: int = 0
    right: int = 0
    unsure: int = 0
    reports: int = 0

    @property
    def total(self) -> int:
        """All statements about an answer."""
        return self.wrong + self.right + self.unsure


def statements_by_day(statistics_filter: StatisticsFilter) -> list[Day]:
    """Return every day of the selected time, also those without statements. All time begins with the first statement.

    A statement counts on the day it was made, even if its author replaced it later. Its model version is that of the
    answer that it is about. One query.
    """
    statements = Feedback.objects.all()
    if statistics_filter.since:
        statements = statements.filter(created_at__gte=statistics_filter.since)
    if statistics_filter.model_version:
        statements = statements.filter(prediction__model_version=statistics_filter.model_version)
    rows = statements.order_by().values_list(UtcDay("created_at", tzinfo=UTC), "verdict").annotate(number=Count("pk"))
    number: Counter[tuple[date, str]] = Counter()
    for day, verdict, count in rows:
        number[day, verdict] += count
    first = statistics_filter.first_day or min((day for day, _verdict in number), default=None)
    if first is None:
        return []
    days = (first + timedelta(days=later) for later in range((statistics_filter.today - first).days + 1))
    verdict = Feedback.Verdict
    return [
        Day(
            day,
            wrong=number[day, verdict.WRONG],
            right=number[day, verdict.RIGHT],
            unsure=number[day, verdict.UNSURE],
            reports=number[day, ""],
        )
        for day in days
    ]


# --- Cases ----------------------------------------------------------------------------------------


class CaseCount(NamedTuple):
    """The number of cases that are alike in everything that an estimate needs."""

    predicted_label: str
    label: str
    model_version: str
    state: str
    verdict: str
    in_audit: bool
    is_disputed: bool
    number: int
    proposed_label: str = ""
    label_set: int | None = None

    @property
    def is_usable(self) -> bool:
        """Whether a reviewer could tell from the picture whether the answer is right."""
        return self.is_right or self.is_wrong

    @property
    def is_right(self) -> bool:
        return self.verdict == Case.Outcome.RIGHT

    @property
    def is_wrong(self) -> bool:
        return self.verdict in {Case.Outcome.CORRECTED, Case.Outcome.NO_LABEL}

    @property
    def is_undecided(self) -> bool:
        """Whether a reviewer can still decide. Nobody can once the picture is erased."""
        return self.state not in Case.SETTLED


def case_counts(statistics_filter: StatisticsFilter) -> list[CaseCount]:
    """Count the cases of all model versions that were opened in the selected time, by their present state.

    Cases are selected by when they were opened, not by when they were decided: nobody chose which cases were opened,
    and the number of undecided ones among them is known. Which cases were decided depends on what reviewers picked.

    One query serves all estimates, so that they agree with each other.
    """
    cases = Case.objects.all()
    if statistics_filter.since:
        # Naming all states lets SQLite search the index on state and time instead of reading the whole table.
        cases = cases.filter(state__in=Case.State.values, opened_at__gte=statistics_filter.since)
    columns = [name for name in CaseCount._fields if name != "number"]
    return [CaseCount(**row) for row in cases.order_by().values(*columns).annotate(number=Count("pk"))]


# --- The queue ------------------------------------------------------------------------------------

AGES = (
    ("Less than an hour", timedelta(0), timedelta(hours=1)),
    ("1 hour to 1 day", timedelta(hours=1), timedelta(days=1)),
    ("1 to 7 days", timedelta(days=1), timedelta(days=7)),
    ("7 to 30 days", timedelta(days=7), timedelta(days=30)),
    ("More than 30 days", timedelta(days=30), None),
)


@dataclass(frozen=True)
class Age:
    """The numbers of cases of one age. `claimed`: the open cases that a reviewer looks at now."""

    title: str
    open: int
    claimed: int
    flagged: int


@dataclass(frozen=True)
class Queue:
    ages: tuple[Age, ...]
    oldest: datetime | None

    @property
    def open(self) -> int:
        return sum(age.open for age in self.ages)

    @property
    def claimed(self) -> int:
        return sum(age.claimed for age in self.ages)

    @property
    def flagged(self) -> int:
        return sum(age.flagged for age in self.ages)


def queue_ages(model_version: str, now: datetime) -> Queue:
    """Count undecided cases by the time since they were opened. `model_version`: empty for all. Two queries."""
    cases = Case.objects.all()
    if model_version:
        cases = cases.filter(model_version=model_version)
    waiting = cases.filter(state__in=[Case.State.OPEN, Case.State.FLAGGED]).order_by().values("state")
    by_state: dict[str, Any] = {
        row["state"]: row for row in waiting.annotate(oldest=Min("opened_at"), **_numbers_by_age(now))
    }
    claimed = _claimed(cases, now).aggregate(**_numbers_by_age(now))
    of_open: dict[str, Any] = by_state.get(Case.State.OPEN, {})
    of_flagged: dict[str, Any] = by_state.get(Case.State.FLAGGED, {})
    ages = tuple(
        Age(title, of_open.get(f"age_{number}", 0), claimed[f"age_{number}"], of_flagged.get(f"age_{number}", 0))
        for number, (title, _from, _to) in enumerate(AGES)
    )
    return Queue(ages, of_open.get("oldest"))


def _claimed(cases: CaseQuerySet, now: datetime) -> CaseQuerySet:
    return cases.claimed(now).filter(claimed_by__isnull=False)


def _numbers_by_age(now: datetime) -> dict[str, Count]:
    return {f"age_{number}": Count("pk", filter=_aged(now, low, high)) for number, (_, low, high) in enumerate(AGES)}


def _aged(now: datetime, at_least: timedelta, less_than: timedelta | None) -> Q:
    # The youngest age has no lower bound: another machine's clock may be ahead, so that a case opens in the future.
    older = Q(opened_at__lte=now - at_least) if at_least else Q(pk__isnull=False)
    return older if less_than is None else older & Q(opened_at__gt=now - less_than)
