"""The processes that generate the load: headless Locust, as many as are needed to keep up."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devtools.processes import running
from devtools.running import ROOT, RunningSite
from stress.matrix.cells import Cell, CellSettings, ramp_seconds

USERS_EACH = 2500  # at most, in one process
START_SECONDS = 10  # until Locust has started, also on a busy machine
DRAIN_SECONDS = 40  # for requests under way when the load ends; longer than the site's longest wait


@dataclass
class LoadGenerator:
    process: subprocess.Popen[str]
    figures: Path
    log: Path

    def complaint(self) -> str:
        return f"locust ended with {self.process.returncode}:\n{self.log.read_text(errors='replace')[:3000]}"


@contextlib.contextmanager
def generators(
    cell: Cell, settings: CellSettings, begins: float, *, site: RunningSite, photos: Path, folder: Path
) -> Iterator[list[LoadGenerator]]:
    """Runs the users of a cell, divided among processes. They start one after another during the warm-up.

    They count from `begins` on, in seconds since the epoch. That has to be `START_SECONDS` and the warm-up from now.
    """
    shares = shared(cell.users, -(-cell.users // USERS_EACH))
    with contextlib.ExitStack() as stack:
        found = []
        for number, users in enumerate(shares):
            figures, log = folder / f"generator-{number}.json", folder / f"generator-{number}.log"
            command = _command(settings, begins, site.url, users, photos, figures)
            if number == 0 and users > 1:
                command += ["--reviewers", "1", "--login", ":".join(site.login)]
            output = stack.enter_context(log.open("w"))
            process = stack.enter_context(running(command, stdout=output, stderr=subprocess.STDOUT))
            found.append(LoadGenerator(process, figures, log))
        yield found


def _command(settings: CellSettings, begins: float, url: str, users: int, photos: Path, figures: Path) -> list[str]:
    ramp = max(ramp_seconds(settings.warm_up), 0.5)
    options: dict[str, object] = {
        "locustfile": ROOT / "stress" / "locustfile.py",
        "host": url,
        "users": users,
        "spawn-rate": max(users / ramp, 1),
        "run-time": math.ceil(START_SECONDS + settings.warm_up + settings.measured) + 1,  # in whole seconds, rounded up
        "stop-timeout": DRAIN_SECONDS,
        "exit-code-on-error": 0,
        "loglevel": "WARNING",
        "figures": figures,
        "photos": photos,
        "begins": begins,
        "ends": begins + settings.measured,
        "think-min": settings.think_min,
        "think-max": settings.think_max,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "locust", *words, "--headless", "--only-summary"]


def shared(users: int, processes: int) -> list[int]:
    """Divides the users evenly among the processes."""
    return [users // processes + (number < users % processes) for number in range(processes)]


def wait_for_figures(found: list[LoadGenerator]) -> None:
    """Waits until all have ended and written their results. Raises `RuntimeError` if one fails."""
    for generator in found:
        with contextlib.suppress(subprocess.TimeoutExpired):
            generator.process.wait(DRAIN_SECONDS + 30)
        if generator.process.poll() != 0 or not generator.figures.exists():
            raise RuntimeError(generator.complaint())
