"""The tables beside the plots. The same rows make the table in the page and the file to download."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from review.csv_cells import neutral
from review.statistics.intervals import Proportion


class Writable(Protocol):
    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True)
class Text:
    """`text` goes into the file, `shown` into the page, with a link if there is a `url` to call.

    Addresses are not made before a row is shown: a table may have thousands of rows that only go into the file.
    """

    text: str
    shown: str = ""
    url: Callable[[], str] | None = None


Cell = Text | date | int | Proportion


@dataclass(frozen=True)
class Column:
    """`name` heads it in the file, `title` in the page. A share takes more than one column, with its interval."""

    name: str
    title: str
    is_share: bool = False


@dataclass(frozen=True)
class Shown:
    """One cell of the page."""

    text: str
    url: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class StatisticsTable:
    """`most`: as many rows are in the page; all are in the file. `is_folded`: the page shows it when asked to."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    most: int = 50
    is_folded: bool = False

    @property
    def heads(self) -> list[Shown]:
        found = []
        for place, column in enumerate(self.columns):
            found.append(Shown(column.title, is_number=column.is_share or not self._is_text(place)))
            if column.is_share:
                found.append(Shown("95% interval"))
        return found

    def _is_text(self, place: int) -> bool:
        return any(isinstance(row[place], Text | date) for row in self.rows[:1])

    @property
    def shown(self) -> list[list[Shown]]:
        return [[cell for value in row for cell in _shown(value)] for row in self.rows[: self.most]]

    @property
    def left_out(self) -> int:
        return max(0, len(self.rows) - self.most)

    def write(self, file: Writable) -> None:
        """As CSV (RFC 4180). Shares are 0 to 1; a share of nothing is empty."""
        writer = csv.writer(file)
        writer.writerow(name for column in self.columns for name in _names(column))
        writer.writerows([text for value in row for text in _written(value)] for row in self.rows)


def _names(column: Column) -> Iterable[str]:
    return (f"{column.name}{end}" for end in (("", "_low_95", "_high_95") if column.is_share else ("",)))


def _shown(value: Cell) -> Iterable[Shown]:
    if isinstance(value, Text):
        return (Shown(value.shown or value.text, value.url() if value.url else "", is_number=False),)
    if isinstance(value, Proportion):
        return Shown(value.percent), Shown(value.interval)
    if isinstance(value, date):
        return (Shown(value.isoformat(), is_number=False),)
    return (Shown(f"{value:,}"),)


def _written(value: Cell) -> Iterable[str | int]:
    if isinstance(value, Text):
        return (neutral(value.text),)
    if isinstance(value, Proportion):
        if value.share is None:
            return "", "", ""
        return tuple(f"{number:.6f}" for number in (value.share, *value.bounds))
    return (value.isoformat() if isinstance(value, date) else value,)
