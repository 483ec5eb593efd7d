"""Tables of measured figures, as Markdown and as JSON."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One quantity, as measured in each round. Its unit is in the head of its column."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        return cls(tuple(values))

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return number(self.values[0])
        lowest, highest = min(self.values), max(self.values)
        return f"{number(self.median)} ({number(lowest)}{' to ' if lowest < 0 else '-'}{number(highest)})"

    def as_json(self) -> dict[str, Any]:
        return {
            "median": self.median,
            "lowest": min(self.values),
            "highest": max(self.values),
            "values": list(self.values),
        }


def figures(rounds: Iterable[Any], *names: str) -> list[Figure]:
    """Returns a figure for each of these attributes of the rounds."""
    rounds = list(rounds)
    return [Figure.of(getattr(one, name) for one in rounds) for name in names]


TableCell = str | int | Figure


@dataclass(frozen=True)
class ResultTable:
    """A table whose column heads name units. The first column names what was measured."""

    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    title: str = ""

    def as_markdown(self) -> str:
        lines = [list(self.columns), ["---"] + ["---:"] * (len(self.columns) - 1)]
        lines += [[_text(cell) for cell in row] for row in self.rows]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{self.title}:\n\n{text}" if self.title else text

    def as_json(self) -> dict[str, Any]:
        rows = [[cell.as_json() if isinstance(cell, Figure) else cell for cell in row] for row in self.rows]
        return {"title": self.title, "rows": [dict(zip(self.columns, row, strict=True)) for row in rows]}


@dataclass(frozen=True)
class Goal:
    """The aim of a measurement, the result, and whether it meets the aim."""

    aim: str
    found: str
    is_met: bool

    def __str__(self) -> str:
        return f"{'Goal met' if self.is_met else 'GOAL MISSED'}: {self.aim}. Found: {self.found}."


@dataclass
class BenchReport:
    """The results of one benchmark. `name` marks its part in the files of results."""

    name: str
    title: str
    about: str
    tables: list[ResultTable]
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_markdown(self) -> str:
        remarks = "\n".join(wrapped(f"- {remark}", indent="  ") for remark in [*map(str, self.goals), *self.notes])
        tables = "\n\n".join(table.as_markdown() for table in self.tables)
        return "\n\n".join(part for part in (wrapped(self.about), tables, remarks) if part)

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "about": self.about,
            "tables": [table.as_json() for table in self.tables],
            "goals": [asdict(goal) for goal in self.goals],
            "notes": self.notes,
        }


def wrapped(text: str, *, indent: str = "") -> str:
    """Wraps Markdown at 120 characters."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def number(value: float) -> str:
    """Formats a number with about three significant digits, without an exponent."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _text(cell: TableCell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
