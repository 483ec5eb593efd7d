"""The cells of the matrix, and the files of their results."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stress.tables import plural

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
        return f"{self.engine}, {plural(self.workers, 'worker')}, batch {self.batch_size}, {self.users:,} users"


def cells(
    *,
    engines: Iterable[str] = ENGINES,
    batch_sizes: Iterable[int] = BATCH_SIZES,
    workers: Iterable[int] = WORKERS,
    users: Iterable[int] = USERS,
) -> list[Cell]:
    """Returns all combinations. The users change fastest, so that an interrupted run holds whole curves."""
    every = itertools.product(
        dict.fromkeys(engines), *(sorted(set(values)) for values in (batch_sizes, workers, users))
    )
    return [Cell(*values) for values in every]


def usual_warm_up(users: int) -> float:
    """Returns the seconds until the load is steady.

    With few users, that is once all of them have started. Where many are refused, it is once refused users return at a
    steady rate: 40 s after their refusal on average, made of 30 s of `Retry-After`, a random delay of at most half of
    that, and 5 s of thinking time. Until then the site handles fewer requests and answers more of them.
    """
    return 50 if users >= 1000 else 10


def ramp_seconds(warm_up: float) -> float:
    """Returns the seconds of the warm-up in which the users start.

    A longer warm-up spreads the starts over about the time after which refused users return. If all users started at
    once, the refused ones would return at once too, and the load would come in waves.
    """
    return max(warm_up / 2, warm_up - 10)


@dataclass(frozen=True)
class CellSettings:
    """How a cell is measured. Cells are comparable if all settings but the warm-up are equal."""

    warm_up: float
    measured: float
    think_min: float
    think_max: float
    photos: int
    precision: str


class ResultsFolder:
    """A folder with one file for each cell, written as soon as the cell is measured."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, cell: Cell) -> Path:
        return self.folder / f"{cell.name}.json"

    def write(self, cell: Cell, settings: CellSettings, found: dict[str, Any]) -> None:
        """Writes in one step, so that an interruption leaves a whole file or none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        incoming = self.folder / f".{cell.name}.incoming"
        content = {"cell": asdict(cell), "settings": asdict(settings), **found}
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
        incoming.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
        incoming.replace(self.file(cell))

    def has(self, cell: Cell, settings: CellSettings) -> bool:
        """Returns whether the cell was measured with these settings. Older files may hold further settings."""
        try:
            found = json.loads(self.file(cell).read_text(encoding="utf-8"))["settings"]
        except (OSError, ValueError, KeyError):
            return False
        return bool(asdict(settings).items() <= found.items())

    def all(self) -> Iterator[tuple[Cell, dict[str, Any]]]:
        """Yields each measured cell and its results."""
        for file in sorted(self.folder.glob("*.json")):
            found = json.loads(file.read_text(encoding="utf-8"))
            yield Cell(**found["cell"]), found
