"""The cells of the matrix, and the files in which what they brought is kept."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

USERS = (10, 50, 100, 250, 500, 1000, 5000)
WORKERS = (1, 2, 4)
BATCH_SIZES = (1, 8, 32)
ENGINES = ("openvino", "tensorflow")


@dataclass(frozen=True, order=True)
class Cell:
    engine: str
    batch_size: int
    workers: int
    users: int

    @property
    def name(self) -> str:
        return f"{self.engine}-b{self.batch_size:02}-w{self.workers}-u{self.users:04}"

    def __str__(self) -> str:
        return f"{self.engine}, {_number(self.workers, 'worker')}, batch {self.batch_size}, {self.users:,} users"


def _number(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def cells(
    *,
    engines: Iterable[str] = ENGINES,
    batch_sizes: Iterable[int] = BATCH_SIZES,
    workers: Iterable[int] = WORKERS,
    users: Iterable[int] = USERS,
) -> list[Cell]:
    """All combinations; the users change fastest, so that what was interrupted holds whole curves."""
    every = itertools.product(
        dict.fromkeys(engines), *(sorted(set(values)) for values in (batch_sizes, workers, users))
    )
    return [Cell(*values) for values in every]


def usual_warm_up(users: int) -> float:
    """Seconds until the load is the one that lasts: with few users, once all are there.

    Where many are refused, that is once as many come back as will ever after, and those who were let in have come for
    their answers, looked at them, and said whether they are right. Until then the workers have less to share the
    machine with, and answer more. Who is refused comes again after 40 s on average: 30 s of `Retry-After`, up to half
    as long again, and 5 s of thinking.
    """
    return 50 if users >= 1000 else 10


def ramp_seconds(warm_up: float) -> float:
    """Within how many of them all users come.

    A longer warm-up has one user come after the other for almost as long as it takes to be refused and come again: if
    all came at once, they would all come back at once too, and between two such waves the load is half of what it is.
    """
    return max(warm_up / 2, warm_up - 10)


@dataclass(frozen=True)
class Settings:
    """How a cell is measured. Cells are comparable if these are the same, but for the warm-up."""

    warm_up: float
    measured: float
    think_min: float
    think_max: float
    visitor_weight: int
    api_weight: int
    person_weight: int
    reviewers: int
    patient: bool
    photos: int
    precision: str


class Results:
    """A folder with one file for each cell, written as soon as the cell is done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, cell: Cell) -> Path:
        return self.folder / f"{cell.name}.json"

    def write(self, cell: Cell, settings: Settings, found: dict[str, Any]) -> None:
        """In one step: an interruption leaves a whole file or none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        incoming = self.folder / f".{cell.name}.incoming"
        content = {"cell": asdict(cell), "settings": asdict(settings), **found}
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
        incoming.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
        incoming.replace(self.file(cell))

    def has(self, cell: Cell, settings: Settings) -> bool:
        """Whether the cell was measured with these settings."""
        try:
            return bool(json.loads(self.file(cell).read_text(encoding="utf-8"))["settings"] == asdict(settings))
        except (OSError, ValueError, KeyError):
            return False

    def all(self) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """Each cell that was measured, and what was found."""
        for file in sorted(self.folder.glob("*.json")):
            found = json.loads(file.read_text(encoding="utf-8"))
            yield Cell(**found["cell"]), found
