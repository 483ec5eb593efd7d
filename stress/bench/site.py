"""The whole system under measurement: its processes by what they are for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from devtools.running import RunningSite
from stress.bench.processes import cpu_seconds, pss_megabytes

# What a command line holds, and what its process is for. What is left is the supervisor and `manage.py up`.
KINDS = {"rqworker": "worker", "granian": "web", "valkey-server": "queue"}
NAMES = ("web", "worker", "queue", "supervisor")

IDLE_CORES = 0.1  # of all its processes; heartbeats and the like go on
SETTLE_SECONDS = 120


@contextlib.contextmanager
def running_site(data_dir: Path, environment: dict[str, str], *arguments: str) -> Iterator[RunningSite]:
    """As `manage.py up` starts it, with these arguments; stopped also when it is interrupted while it starts."""
    site = RunningSite(data_dir, *arguments, **environment)
    try:
        site.start()
        yield site
    finally:
        if hasattr(site, "process"):
            site.stop()


class Processes:
    """The processes of a site as they are now; those that it starts later are not among them.

    `kinds`: what a command line holds, and what its process is for.
    """

    def __init__(self, site: RunningSite, kinds: Mapping[str, str] = KINDS) -> None:
        up = psutil.Process(site.process.pid)
        self._kinds = kinds
        self.by_kind: dict[str, list[psutil.Process]] = {name: [] for name in (*kinds.values(), "supervisor")}
        self.by_kind["supervisor"].append(up)
        for child in up.children():
            self._add(child, "supervisor")

    def _add(self, process: psutil.Process, kind: str) -> None:
        command = " ".join(process.cmdline())
        # A child of a web server is of the web server, whatever its command line says.
        if kind == "supervisor":
            kind = next((found for part, found in self._kinds.items() if part in command), kind)
        self.by_kind[kind].append(process)
        for child in process.children():
            self._add(child, kind)

    def pids(self) -> set[int]:
        return {process.pid for processes in self.by_kind.values() for process in processes}

    def cpu_seconds(self) -> dict[str, float]:
        return {kind: cpu_seconds(processes) for kind, processes in self.by_kind.items()}

    def pss_megabytes(self) -> dict[str, float]:
        return {kind: sum(pss_megabytes(process.pid) for process in found) for kind, found in self.by_kind.items()}

    def wait_until_idle(self) -> None:
        """Until what was cut off with the load is done too. Raises `RuntimeError` if they go on for minutes."""
        deadline = time.monotonic() + SETTLE_SECONDS
        used = sum(self.cpu_seconds().values())
        while time.monotonic() < deadline:
            time.sleep(0.5)
            before, used = used, sum(self.cpu_seconds().values())
            if used - before <= 0.5 * IDLE_CORES:
                return
        raise RuntimeError(f"the site still works, {SETTLE_SECONDS} s after the load has ended")
