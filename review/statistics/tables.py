"""The tables below the plots. The page and the CSV file are made from the same rows."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from review.statistics.intervals import Proportion
from worker.inference.csv_files import BYTE_ORDER_MARK, neutral


class Writable(Protocol):
    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True)
class Text:
    """`text` is for the file, `shown` for the page. `url` makes the cell a link on the page.

    `url` is called only for rows that the page shows: the file may have thousands more.
    """

    text: str
    shown: str = ""
    url: Callable[[], str] | None = None


Cell = Text | date | int | Proportion


@dataclass(frozen=True)
class Column:
    """`name` is the heading in the file, `title` on the page. A share takes further columns for its interval."""

    name: str
    title: str
    is_share: bool = False


@dataclass(frozen=True)
class PageCell:
    """One cell on the page."""

    text: str
    url: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class StatisticsTable:
    """The page shows at most `most` rows, the file has all. `is_folded`: collapsed on the page at first."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    most: int = 50
    is_folded: bool = False

    @property
    def headings(self) -> list[PageCell]:
        found = []
        for number, column in enumerate(self.columns):
            found.append(PageCell(column.title, is_number=column.is_share or not self._is_text(number)))
            if column.is_share:
                found.append(PageCell("95% interval"))
        return found

    def _is_text(self, number: int) -> bool:
        return any(isinstance(row[number], Text | date) for row in self.rows[:1])

    @property
    def shown(self) -> list[list[PageCell]]:
        return [[cell for value in row for cell in _shown(value)] for row in self.rows[: self.most]]

    @property
    def left_out(self) -> int:
        return max(0, len(self.rows) - self.most)

    def write(self, file: Writable) -> None:
        """Write all rows as CSV (RFC 4180) that opens in a spreadsheet.

        Shares are from 0 to 1, or empty if nothing was counted.
        """
        file.write(BYTE_ORDER_MARK)
        writer = csv.writer(file)
        writer.writerow(name for column in self.columns for name in _names(column))
        writer.writerows([text for value in row for text in _written(value)] for row in self.rows)


def _names(column: Column) -> Iterable[str]:
    return (f"{column.name}{end}" for end in (("", "_low_95", "_high_95") if column.is_share else ("",)))


def _shown(value: Cell) -> Iterable[PageCell]:
    if isinstance(value, Text):
        return (PageCell(value.shown or value.text, value.url() if value.url else "", is_number=False),)
    if isinstance(value, Proportion):
        return PageCell(value.percent), PageCell(value.interval)
    if isinstance(value, date):
        return (PageCell(value.isoformat(), is_number=False),)
    return (PageCell(f"{value:,}"),)


def _written(value: Cell) -> Iterable[str | int]:
    if isinstance(value, Text):
        return (neutral(value.text),)
    if isinstance(value, Proportion):
        if value.share is None:
            return "", "", ""
        return tuple(f"{number:.6f}" for number in (value.share, *value.bounds))
    return (value.isoformat() if isinstance(value, date) else value,)
