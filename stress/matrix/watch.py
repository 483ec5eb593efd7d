"""Measures a running site: CPU and memory by role, the length of the queue, and the answers."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from devtools.running import RunningSite
from mlsite import embedded_valkey
from stress.bench.processes import cpu_seconds, pss_megabytes
from stress.bench.site import SiteProcesses

QUEUE = "predictions"
SITE_ROLES = {"rqworker": "worker", "granian": "web", "valkey-server": "valkey", "manage.py exporter": "exporter"}
LOCUST = "locust"  # the role of the load generators
EVERY_SECONDS = 0.5


@dataclass
class UsageSnapshot:
    """CPU seconds so far: by role, and of the machine."""

    by_role: dict[str, float]
    machine: float


class SiteWatch:
    """Measures a site's processes and its queue. A thread records the length of the queue."""

    def __init__(self, site: RunningSite, generators: Iterable[int]) -> None:
        self._site = site
        self._generators = [psutil.Process(pid) for pid in generators]
        address = f"unix://{embedded_valkey.socket_path(site.data_dir)}"
        connection = redis.Redis.from_url(address)
        self._queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_lengths, daemon=True)
        self.lengths: list[tuple[float, int]] = []  # seconds since the epoch, waiting jobs

    def __enter__(self) -> SiteWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._queue.connection.close()

    def _read_lengths(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            with contextlib.suppress(redis.RedisError):  # a gap in the plot
                self.lengths.append((time.time(), self._queue.count))

    def snapshot(self) -> UsageSnapshot:
        by_role = SiteProcesses(self._site, SITE_ROLES).cpu_seconds() | {LOCUST: cpu_seconds(self._generators)}
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - getattr(machine, "guest", 0.0)
        return UsageSnapshot(by_role, busy)

    def memory(self) -> dict[str, float]:
        """Returns the PSS in MB, by role."""
        found = SiteProcesses(self._site, SITE_ROLES).pss_megabytes()
        with contextlib.suppress(psutil.NoSuchProcess):  # `wait_for_figures` reports that one has ended
            found[LOCUST] = sum(pss_megabytes(process.pid) for process in self._generators)
        return {role: round(megabytes, 1) for role, megabytes in found.items()}


def cpu_by_role(before: UsageSnapshot, after: UsageSnapshot) -> dict[str, float]:
    """Returns the CPU seconds that each role used between two snapshots."""
    return {role: round(seconds - before.by_role[role], 3) for role, seconds in after.by_role.items()}


def answered(data_dir: Path, begins: float, ends: float) -> dict[str, int]:
    """Counts the predictions that were answered within a window, and their batches.

    The window is in seconds since the epoch. The rows come from the site's database.
    """
    with contextlib.closing(sqlite3.connect(f"file:{data_dir / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        predictions, batches = database.execute(
            "SELECT COUNT(*), COUNT(DISTINCT started_at) FROM predictions_prediction "
            "WHERE state = 'done' AND finished_at >= ? AND finished_at < ?",
            (_as_django(begins), _as_django(ends)),
        ).fetchone()
    return {"answered": predictions, "batches": batches}


def _as_django(seconds: float) -> str:
    """Formats a time as Django writes it into SQLite, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def require_no_deaths(site: RunningSite) -> None:
    """Raises `RuntimeError` if a process ended by itself: its CPU time is missing, and the cell is not comparable."""
    messages = [line.strip() for line in site.output.splitlines() if " ended (" in line]
    if messages:
        raise RuntimeError("\n".join(messages))
