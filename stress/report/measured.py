"""The results of cells, and the figures that the report derives from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from stress.matrix.cells import Cell, ResultsFolder, cells
from stress.recorder import FAILED, OK, OUTCOMES, REFUSED

PREDICT, INDEX, FORM = "/api/predict", "/", "/ (form)"
SYSTEM = ("web", "worker", "valkey", "exporter", "supervisor")
GOOD_MS = 1000  # a good answer takes at most this
WAIT_MS = 30_000  # PREDICT_WAIT_SECONDS, which the matrix leaves at its default


@dataclass(frozen=True)
class Measured:
    """The results of one cell."""

    cell: Cell
    found: dict[str, Any]

    @property
    def seconds(self) -> float:
        return float(self.found["seconds"])

    @property
    def rate(self) -> float:
        """Predictions answered per second, from the API and the page."""
        return int(self.found["rows"]["answered"]) / self.seconds

    @property
    def batch_size(self) -> float | None:
        """The mean number of images in a batch."""
        rows = self.found["rows"]
        return rows["answered"] / rows["batches"] if rows["batches"] else None

    def times(self, name: str = PREDICT, outcome: str = OK) -> dict[str, Any]:
        """Returns `started`, `mean`, `p50`, `p95`, `p99`, `max` in ms, or an empty dict without such answers."""
        row: dict[str, Any] = self.found["requests"].get(name, {}).get(outcome, {})
        return row if row.get("started") else {}

    def ms(self, which: str, name: str = PREDICT, outcome: str = OK) -> float | None:
        value = self.times(name, outcome).get(which)
        return None if value is None else float(value)

    def count(self, outcome: str, *names: str) -> int:
        kinds = self.found["requests"]
        return sum(
            row["started"]
            for name, outcomes in kinds.items()
            for each, row in outcomes.items()
            if each == outcome and (not names or name in names)
        )

    @property
    def refused_share(self) -> float:
        """The share of refusals in all requests for a prediction."""
        asked = sum(self.count(outcome, PREDICT, FORM) for outcome in OUTCOMES)
        return self.count(REFUSED, PREDICT, FORM) / asked if asked else 0.0

    @property
    def connections_lost(self) -> int:
        return sum(number for reason, number in self.found["reasons"].items() if "connection:" in reason)

    def cores_of(self, *roles: str) -> float:
        """Returns how many cores these roles used on average."""
        return float(sum(self.found["cpu_seconds"][role] for role in roles) / self.found["cpu_window_seconds"])

    def cpu_ms(self, *roles: str) -> float | None:
        """Returns the CPU milliseconds that these roles used per prediction, with everything else that they did."""
        return 1000 * self.cores_of(*roles) / self.rate if self.rate else None

    @property
    def cores(self) -> int:
        return int(self.found["cores"])

    @property
    def generator_share(self) -> float:
        """The load generator's share of the machine's CPU time."""
        return self.cores_of("locust") / self.cores

    @property
    def others_share(self) -> float:
        """The share of the machine's CPU time that unrelated programs used, which disturbs the measurement."""
        return float(self.found["cpu_seconds_of_others"] / self.found["cpu_window_seconds"] / self.cores)

    @property
    def is_good(self) -> bool:
        """Whether p95 is at most a second, and no request was refused or failed."""
        p95 = self.ms("p95")
        return p95 is not None and p95 <= GOOD_MS and not self.count(REFUSED) and not self.count(FAILED)


class Matrix:
    """All measured cells."""

    def __init__(self, measured: Iterable[Measured]) -> None:
        self.by_cell = {each.cell: each for each in measured}

    @classmethod
    def read(cls, results: ResultsFolder) -> Matrix:
        return cls(Measured(cell, found) for cell, found in results.all())

    def __iter__(self) -> Iterator[Measured]:
        return iter(sorted(self.by_cell.values(), key=lambda each: each.cell))

    def __len__(self) -> int:
        return len(self.by_cell)

    def missing(self) -> list[Cell]:
        """Returns the cells of the whole matrix that were not measured."""
        return [cell for cell in cells() if cell not in self.by_cell]

    def values(self, of: Callable[[Cell], Any]) -> list[Any]:
        return sorted({of(cell) for cell in self.by_cell})

    def curve(self, engine: str, workers: int, batch_size: int) -> list[Measured]:
        """Returns the cells that differ only in the number of users, from few to many."""
        return [
            each
            for each in self
            if (each.cell.engine, each.cell.workers, each.cell.batch_size) == (engine, workers, batch_size)
        ]
