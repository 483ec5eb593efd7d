"""Made-up results of cells, for which the report is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stress.matrix.cells import Cell, CellSettings
from stress.report.measured import Measured

SETTINGS = CellSettings(
    warm_up=8,
    measured=10,
    think_min=2,
    think_max=8,
    photos=200,
    precision="f32",
)
MACHINE = {
    "date": "2026-11-25T10:00:00+00:00",
    "cpu": "Imagined",
    "cpu_flags": ["avx2"],
    "cores": 2,
    "memory_megabytes": 1000,
    "disk": "1 GB, ext4",
    "kernel": "Linux",
    "python": "3.11",
    "packages": {"rq": "3.0.0"},
    "load_average_before": 0.1,
}


def row(number: int, ms: float) -> dict[str, Any]:
    return {"started": number, "finished": number, "mean": ms, "p50": ms, "p95": ms, "p99": ms, "max": ms}


@pytest.fixture
def measured() -> Callable[..., Measured]:
    """Returns a function that makes the results of a cell: `measured(users, rate=, ms=, refused=, ...)`."""

    def measured(
        users: int,
        *,
        rate: float = 10,
        ms: float = 100,
        refused: int = 0,
        failed: int = 0,
        workers: int = 1,
        batch_size: int = 32,
        engine: str = "openvino",
        reasons: dict[str, int] | None = None,
        **found: Any,
    ) -> Measured:
        predict = {"ok": row(round(rate * 10), ms)}
        predict |= {"refused": row(refused, 50)} if refused else {}
        predict |= {"failed": row(failed, 50)} if failed else {}
        content = {
            "settings": vars(SETTINGS),
            "machine": MACHINE,
            "seconds": 10.0,
            "requests": {"/": {"ok": row(users, 20)}, "/api/predict": predict},
            "reasons": reasons or {},
            "cpu_window_seconds": 10.0,
            "cpu_seconds": {"web": 2, "worker": 6, "valkey": 1, "exporter": 0, "supervisor": 0, "locust": 1},
            "cpu_seconds_of_others": 0.1,
            "cores": 2,
            "memory_megabytes": {"web": 100, "worker": 200, "valkey": 5, "exporter": 5, "supervisor": 5, "locust": 80},
            "queue_length": [[-1.0, 0], [0.0, 3], [1.0, 5]],
            "rows": {"answered": round(rate * 10), "batches": 25},
        }
        return Measured(Cell(engine, batch_size, workers, users), {**content, **found})

    return measured
