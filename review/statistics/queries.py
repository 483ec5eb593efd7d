"""What is counted: statements by day, cases by everything that an estimate needs, and the age of the queue.

Few queries, each over one index or one pass of its table: there may be 100,000 cases and half a million statements.
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


def is_anything_there() -> bool:
    return Case.objects.exists() or Feedback.objects.exists()


# --- Statements -----------------------------------------------------------------------------------


class UtcDay(TruncDate):
    """The day of a moment in UTC.

    On SQLite, Django calls a Python function for each row, which takes seconds for half a million; but moments are
    stored as text in UTC there, and begin with their day.
    """

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_extra: Any) -> tuple[str, Any]:
        sql, parameters = compiler.compile(self.lhs)
        return f"SUBSTR({sql}, 1, 10)", parameters


@dataclass(frozen=True)
class Day:
    """What was said on one day, in UTC. `reports` are those of old clients, which name no answer and say no more."""

    day: date
    wrong: int = 0
    right: int = 0
    unsure: int = 0
    reports: int = 0

    @property
    def total(self) -> int:
        """All that speak of an answer."""
        return self.wrong + self.right + self.unsure


def statements_by_day(statistics_filter: StatisticsFilter) -> list[Day]:
    """Every day of the selected time, quiet ones too; from the first statement on where that is all time.

    All statements count on the day they were made, also those that their author replaced later. One query. A version
    is that of the answer that the statement speaks of.
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
    """How many cases are alike in all that an estimate asks for."""

    predicted_label: str
    label: str
    model_version: str
    state: str
    verdict: str
    in_audit: bool
    is_disputed: bool
    number: int

    @property
    def is_usable(self) -> bool:
        """Decided, and the picture shows something that has a label."""
        return self.verdict in {Case.Verdict.RIGHT, Case.Verdict.CORRECTED}

    @property
    def is_decided(self) -> bool:
        return self.state == Case.State.DECIDED


def case_counts(statistics_filter: StatisticsFilter) -> list[CaseCount]:
    """The cases that were opened in the selected time, as they stand now, of all model versions.

    By the time of their opening and not of their decision: what opened in a time is a sample that nobody chose, and
    it is known how much of it is still undecided; what was decided in a time is what reviewers happened to take.

    One query for all estimates, so that they are of the same moment and agree with each other.
    """
    cases = Case.objects.all()
    if statistics_filter.since:
        # All states there are: so SQLite looks the time up in the index of state and time, and does not read it all.
        cases = cases.filter(state__in=Case.State.values, opened_at__gte=statistics_filter.since)
    *columns, number = CaseCount._fields
    rows = cases.order_by().values_list(*columns).annotate(**{number: Count("pk")})
    return [CaseCount._make(row) for row in rows]


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
    """The cases of one age. `claimed` are some of the open ones: somebody looks at them now."""

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
    """All cases that are not decided, by how long ago they were opened. `model_version`: empty for all. Two queries."""
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
        Age(title, of_open.get(f"age_{place}", 0), claimed[f"age_{place}"], of_flagged.get(f"age_{place}", 0))
        for place, (title, _from, _to) in enumerate(AGES)
    )
    return Queue(ages, of_open.get("oldest"))


def _claimed(cases: CaseQuerySet, now: datetime) -> CaseQuerySet:
    return cases.open().filter(claimed_by__isnull=False, claimed_until__gt=now)


def _numbers_by_age(now: datetime) -> dict[str, Count]:
    return {f"age_{place}": Count("pk", filter=_aged(now, low, high)) for place, (_, low, high) in enumerate(AGES)}


def _aged(now: datetime, at_least: timedelta, less_than: timedelta | None) -> Q:
    # The youngest ones have no lower bound: clocks of two machines may disagree.
    older = Q(opened_at__lte=now - at_least) if at_least else Q(pk__isnull=False)
    return older if less_than is None else older & Q(opened_at__gt=now - less_than)
