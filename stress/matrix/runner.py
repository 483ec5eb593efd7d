"""The measurement of one cell."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from devtools.running import NO_CLIENT_LIMITS, RunningSite
from stress.bench import machine
from stress.bench.workspace import Workspace
from stress.matrix import watch
from stress.matrix.cells import Cell, CellSettings
from stress.matrix.generators import START_SECONDS, LoadGenerator, generators, wait_for_figures
from stress.matrix.watch import SiteWatch
from stress.recorder import merged
from worker.inference.cores import usable_cores

AROUND_SECONDS = 12.0  # estimate of starting and stopping


def expected_seconds(settings: CellSettings) -> float:
    """Estimates the duration of a cell."""
    return START_SECONDS + settings.warm_up + settings.measured + AROUND_SECONDS


def run(cell: Cell, settings: CellSettings, workspace: Workspace, photos: Path) -> dict[str, Any]:
    """Starts a system, loads it with users who send these photos, and returns the results of the cell.

    Raises `RuntimeError` or `AssertionError`, with logs, if the system or a generator does not start or dies.
    """
    described = machine.describe()
    data_dir = workspace.site_folder(cell.name)
    try:
        with RunningSite(data_dir, "--workers", str(cell.workers), **_environment(cell, settings)) as site:
            begins = time.time() + START_SECONDS + settings.warm_up
            ends = begins + settings.measured
            with (
                generators(cell, settings, begins, site=site, photos=photos, folder=data_dir.parent) as load,
                SiteWatch(site, [generator.process.pid for generator in load]) as watching,
            ):
                found = _measure(load, watching, begins, ends)
            watch.require_no_deaths(site)
        return {"machine": described, **found, "rows": watch.answered(data_dir, begins, ends)}
    finally:
        shutil.rmtree(data_dir.parent, ignore_errors=True)


def _environment(cell: Cell, settings: CellSettings) -> dict[str, str]:
    return {
        "ENGINE": cell.engine,
        "BATCH_MAX_SIZE": str(cell.batch_size),
        "PRECISION": settings.precision if cell.engine == "openvino" else "f32",
        "REUSE_ANSWERS": "0",
        "HOST": "127.0.0.1",
        **NO_CLIENT_LIMITS,
    }


def _measure(load: list[LoadGenerator], watching: SiteWatch, begins: float, ends: float) -> dict[str, Any]:
    _sleep_until(begins)
    before, first = watching.snapshot(), time.time()
    _sleep_until(ends)
    after, last = watching.snapshot(), time.time()
    memory = watching.memory()
    wait_for_figures(load)
    rows, reasons = merged(json.loads(generator.figures.read_text()) for generator in load)
    cpu = watch.cpu_by_role(before, after)
    return {
        "seconds": round(ends - begins, 2),
        "requests": {
            name: {outcome: rows[name, outcome].figures() for each, outcome in sorted(rows) if each == name}
            for name in sorted({name for name, _outcome in rows})
        },
        "reasons": dict(reasons.most_common()),
        "cpu_window_seconds": round(last - first, 3),
        "cpu_seconds": cpu,
        "cpu_seconds_of_others": round(max(0.0, after.machine - before.machine - sum(cpu.values())), 3),
        "cores": usable_cores(),
        "memory_megabytes": memory,
        "queue_length": [[round(at - begins, 1), length] for at, length in watching.lengths],
    }


def _sleep_until(at: float) -> None:
    """`at`: seconds since the epoch."""
    time.sleep(max(0.0, at - time.time()))
