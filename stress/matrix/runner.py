"""One cell: starts a system, loads it, watches it, stops it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stress.bench import machine
from stress.bench.site import running_site
from stress.bench.workspace import Workspace
from stress.matrix import watch
from stress.matrix.cells import Cell, Settings
from stress.matrix.generators import Generator, generators, wait_for_figures, wait_for_windows
from stress.matrix.watch import ROLES, Watch
from stress.recorder import merged
from worker.inference.cores import usable_cores

TICK_SECONDS = 0.2
AROUND_SECONDS = 12.0  # starting and stopping, about: for the progress bar before the first cell is done

Advance = Callable[[float], None]


@dataclass
class Rig:
    """What all cells share."""

    workspace: Workspace
    photos: Path

    def prepared_folder(self, name: str) -> Path:
        """A new data folder with tables and static files in it, and the model of all."""
        template = self.workspace.template
        folder = self.workspace.folder(name) / "data"
        shutil.copytree(template, folder)
        (folder / "models").symlink_to(self.workspace.models)
        return folder


def expected_seconds(settings: Settings) -> float:
    """That a cell takes, about."""
    return settings.warm_up + settings.measured + AROUND_SECONDS


def run(cell: Cell, settings: Settings, rig: Rig, advance: Advance) -> dict[str, Any]:
    """What one cell brought. `advance` is told how many seconds of it are over, about.

    Raises `RuntimeError` or `AssertionError`, with logs, if the system or a generator does not start or dies.
    """
    described = machine.describe()
    data_dir = rig.prepared_folder(cell.name)
    began = time.monotonic()
    try:
        with running_site(data_dir, _environment(cell, settings), "--workers", str(cell.workers)) as site:
            start_seconds = time.monotonic() - began
            advance(AROUND_SECONDS / 2)
            with (
                generators(
                    cell,
                    settings,
                    url=site.url,
                    login=site.login,
                    photos=rig.photos,
                    folder=data_dir.parent,
                ) as load,
                Watch(site, [generator.process.pid for generator in load]) as watching,
            ):
                found = _measure(load, watching, advance)
            found["deaths"] = watch.deaths(site)
        begins, ends = found.pop("window")
        found["rows"] = watch.answered(data_dir, begins, ends).as_json()
        found["start_seconds"] = round(start_seconds, 1)
        return {"machine": described, **found}
    finally:
        shutil.rmtree(data_dir.parent, ignore_errors=True)


def _environment(cell: Cell, settings: Settings) -> dict[str, str]:
    return {
        "ENGINE": cell.engine,
        "BATCH_MAX_SIZE": str(cell.batch_size),
        "PRECISION": settings.precision if cell.engine == "openvino" else "f32",
        "REUSE_ANSWERS": "0",
        "HOST": "127.0.0.1",
    }


def _measure(load: list[Generator], watching: Watch, advance: Advance) -> dict[str, Any]:
    begins, ends = wait_for_windows(load)
    began = time.time()
    _wait_until(begins, load, began, advance)
    before, first = watching.snapshot(), time.time()
    _wait_until(ends, load, began, advance)
    after, last = watching.snapshot(), time.time()
    memory = watching.memory()
    wait_for_figures(load)
    rows, reasons = merged(watch.read_recorded(generator.figures for generator in load))
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
        "queue_length": [[round(moment - begins, 1), length] for moment, length in watching.lengths],
    }


def _wait_until(moment: float, load: list[Generator], began: float, advance: Advance) -> None:
    """Raises `RuntimeError` if a generator ends before."""
    while (left := moment - time.time()) > 0:
        time.sleep(min(TICK_SECONDS, left))
        for generator in load:
            if generator.process.poll() is not None:
                raise RuntimeError(generator.complaint())
        advance(AROUND_SECONDS / 2 + time.time() - began)
