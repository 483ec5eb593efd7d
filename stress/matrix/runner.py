"""The measurement of one cell."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.running import NO_CLIENT_LIMITS, RunningSite
from stress.bench import machine
from stress.bench.workspace import Workspace
from stress.matrix import watch
from stress.matrix.cells import Cell, CellSettings
from stress.matrix.generators import LoadGenerator, generators, wait_for_figures, wait_for_windows
from stress.matrix.watch import ROLES, SiteWatch
from stress.recorder import merged
from worker.inference.cores import usable_cores

TICK_SECONDS = 0.2
AROUND_SECONDS = 12.0  # estimate of starting and stopping, for the progress bar

Advance = Callable[[float], None]


def expected_seconds(settings: CellSettings) -> float:
    """Estimates the duration of a cell."""
    return settings.warm_up + settings.measured + AROUND_SECONDS


@dataclass
class CellRunner:
    """Measures cells: starts a system for each, loads it, watches it, and stops it."""

    workspace: Workspace
    photos: Path

    def run(self, cell: Cell, settings: CellSettings, advance: Advance) -> dict[str, Any]:
        """Returns the results of a cell. Calls `advance` with the estimated number of seconds that have passed.

        Raises `RuntimeError` or `AssertionError`, with logs, if the system or a generator does not start or dies.
        """
        described = machine.describe()
        data_dir = self._prepared_folder(cell.name)
        began = time.monotonic()
        try:
            with RunningSite(data_dir, "--workers", str(cell.workers), **_environment(cell, settings)) as site:
                start_seconds = time.monotonic() - began
                advance(AROUND_SECONDS / 2)
                with (
                    generators(cell, settings, site=site, photos=self.photos, folder=data_dir.parent) as load,
                    SiteWatch(site, [generator.process.pid for generator in load]) as watching,
                ):
                    found = _measure(load, watching, advance)
                found["deaths"] = watch.deaths(site)
            begins, ends = found.pop("window")
            found["rows"] = watch.answered(data_dir, begins, ends)
            found["start_seconds"] = round(start_seconds, 1)
            return {"machine": described, **found}
        finally:
            shutil.rmtree(data_dir.parent, ignore_errors=True)

    def _prepared_folder(self, name: str) -> Path:
        """Makes a data folder with tables, static files and the model."""
        template = self.workspace.template
        folder = self.workspace.folder(name) / "data"
        shutil.copytree(template, folder)
        (folder / "models").symlink_to(self.workspace.models)
        return folder


def _environment(cell: Cell, settings: CellSettings) -> dict[str, str]:
    return {
        "ENGINE": cell.engine,
        "BATCH_MAX_SIZE": str(cell.batch_size),
        "PRECISION": settings.precision if cell.engine == "openvino" else "f32",
        "REUSE_ANSWERS": "0",
        "HOST": "127.0.0.1",
        **NO_CLIENT_LIMITS,
    }


def _measure(load: list[LoadGenerator], watching: SiteWatch, advance: Advance) -> dict[str, Any]:
    begins, ends = wait_for_windows(load)
    began = time.time()
    _wait_until(begins, load, began, advance)
    before, first = watching.snapshot(), time.time()
    _wait_until(ends, load, began, advance)
    after, last = watching.snapshot(), time.time()
    memory = watching.memory()
    wait_for_figures(load)
    rows, reasons = merged(json.loads(generator.figures.read_text()) for generator in load)
    cpu = watch.cpu_by_role(before, after)
    return {
        "window": (begins, ends),
        "seconds": round(ends - begins, 2),
        "requests": {
            name: {outcome: rows[name, outcome].figures() for each, outcome in sorted(rows) if each == name}
            for name in sorted({name for name, _outcome in rows})
        },
        "reasons": dict(reasons.most_common()),
        "cpu_window_seconds": round(last - first, 3),
        "cpu_seconds": cpu,
        "cpu_seconds_of_others": round(max(0.0, after.busy - before.busy - sum(cpu.values())), 3),
        "cores": usable_cores(),
        "memory_megabytes": memory,
        "processes": {role: sum(1 for each, _ in after.processes.values() if each == role) for role in ROLES},
        "batch_sizes": watch.batch_sizes(before.batches, after.batches),
        "queue_length": [[round(at - begins, 1), length] for at, length in watching.lengths],
    }


def _wait_until(at: float, load: list[LoadGenerator], began: float, advance: Advance) -> None:
    """Waits until a time, in seconds since the epoch. Raises `RuntimeError` if a generator fails."""
    while (left := at - time.time()) > 0:
        time.sleep(min(TICK_SECONDS, left))
        for generator in load:
            if generator.process.poll():  # 0: it measured to the end before this loop woke up
                raise RuntimeError(generator.complaint())
        advance(AROUND_SECONDS / 2 + time.time() - began)
