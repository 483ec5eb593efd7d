"""Groups days into weeks, months, quarters or years, so that a plot has room for all bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from review.statistics.queries import Day


@dataclass(frozen=True)
class Period:
    """Numbers of statements in the period that begins on `first`. `label` is for an axis, `title` for a sentence."""

    first: date
    label: str
    title: str
    wrong: int
    right: int
    unsure: int

    @property
    def total(self) -> int:
        return self.wrong + self.right + self.unsure


@dataclass(frozen=True)
class Unit:
    """A unit of time.

    `first` returns the first day of the period that contains a day. `steps` are the distances, in periods, that labels
    on an axis may have.
    """

    name: str
    first: Callable[[date], date]
    label: Callable[[date], str]
    title: Callable[[date], str]
    steps: tuple[int, ...]


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"


UNITS = (
    Unit("day", lambda day: day, _short, lambda day: f"on {day_in_words(day)}", (1, 2, 7, 14, 28)),
    Unit(
        "week",
        lambda day: day - timedelta(days=day.weekday()),
        _short,
        lambda day: f"from Monday {day_in_words(day)}",
        (1, 2, 4, 8, 13, 26),
    ),
    Unit(
        "month",
        lambda day: day.replace(day=1),
        lambda day: f"{day:%b}",
        lambda day: f"in {day:%B %Y}",
        (1, 2, 3, 6, 12),
    ),
    Unit(
        "quarter",
        lambda day: day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1),
        lambda day: f"Q{(day.month + 2) // 3}",
        lambda day: f"in the quarter from {day:%B %Y}",
        (1, 2, 4, 8),
    ),
    Unit(
        "year",
        lambda day: day.replace(day=1, month=1),
        lambda day: str(day.year),
        lambda day: f"in {day.year}",
        (1, 2, 5, 10),
    ),
)


def day_in_words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def periods(days: Sequence[Day], most: int) -> tuple[Unit, list[Period]]:
    """Group the days by the shortest unit that gives at most `most` periods."""
    for unit in UNITS:
        groups: dict[date, list[Day]] = {}
        for day in days:
            groups.setdefault(unit.first(day.day), []).append(day)
        if len(groups) <= most:
            break
    found = [
        Period(
            first,
            unit.label(first),
            unit.title(first),
            wrong=sum(day.wrong for day in group),
            right=sum(day.right for day in group),
            unsure=sum(day.unsure for day in group),
        )
        for first, group in groups.items()
    ]
    return unit, found
