"""What a benchmark found, as text for the screen, as Markdown, and as JSON."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """What the rounds measured of one thing. The unit stands in the head of the column."""

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


Cell = str | int | Figure


@dataclass(frozen=True)
class Table:
    """Columns named with their units. The first column says what was measured, in words."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""

    def as_text(self) -> str:
        lines = [list(self.columns), *([_text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        text = "\n".join(
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )
        return f"{self.title}\n{text}" if self.title else text

    def as_markdown(self) -> str:
        lines = [list(self.columns), ["---"] + ["---:"] * (len(self.columns) - 1)]
        lines += [[_text(cell) for cell in row] for row in self.rows]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{self.title}:\n\n{text}" if self.title else text

    def as_json(self) -> dict[str, Any]:
        rows = [
            {
                column: cell.as_json() if isinstance(cell, Figure) else cell
                for column, cell in zip(self.columns, row, strict=True)
            }
            for row in self.rows
        ]
        return {"title": self.title, "rows": rows}


@dataclass(frozen=True)
class Goal:
    """What was aimed at, what came out, and whether that is enough."""

    aim: str
    found: str
    is_met: bool

    def __str__(self) -> str:
        return f"{'Goal met' if self.is_met else 'GOAL MISSED'}: {self.aim}. Found: {self.found}."


@dataclass
class Report:
    """All that one benchmark found. `name` is what its part of the files is called."""

    name: str
    title: str
    about: str
    tables: list[Table]
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        remarks = "\n".join([*map(str, self.goals), *self.notes])
        tables = "\n\n".join(table.as_text() for table in self.tables)
        return "\n\n".join(part for part in (self.title, self.about, tables, remarks) if part)

    def as_markdown(self) -> str:
        remarks = "\n".join(wrapped(f"- {remark}", indent="  ") for remark in [*map(str, self.goals), *self.notes])
        tables = "\n\n".join(table.as_markdown() for table in self.tables)
        return "\n\n".join(part for part in (wrapped(self.about), tables, remarks) if part)

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "about": self.about,
            "tables": [table.as_json() for table in self.tables],
            "goals": [{"aim": goal.aim, "found": goal.found, "is_met": goal.is_met} for goal in self.goals],
            "notes": self.notes,
        }


def wrapped(text: str, *, indent: str = "") -> str:
    """In lines as long as those of the other pages."""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def number(value: float) -> str:
    """With about three significant digits, and never in powers of ten."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def _text(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
