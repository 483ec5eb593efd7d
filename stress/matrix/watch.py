"""Measures a running site: CPU and memory by role, the length of the queue, and the answers."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from devtools.running import RunningSite
from mlsite import embedded_valkey
from stress.bench.processes import pss_megabytes
from stress.bench.site import SiteProcesses
from stress.recorder import Latencies

QUEUE = "predictions"
SITE_ROLES = {"rqworker": "worker", "granian": "web", "valkey-server": "valkey", "manage.py exporter": "exporter"}
ROLES = ("web", "worker", "valkey", "exporter", "supervisor", "locust")
EVERY_SECONDS = 0.5


@dataclass
class UsageSnapshot:
    """The use so far: CPU seconds by process, with its role, and CPU seconds of the machine."""

    processes: dict[int, tuple[str, float]]
    busy: float


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
        processes: dict[int, tuple[str, float]] = {}
        for role, found in self._by_role().items():
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    processes[process.pid] = (role, times.user + times.system)
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - getattr(machine, "guest", 0.0)
        return UsageSnapshot(processes, busy)

    def memory(self) -> dict[str, float]:
        """Returns the PSS in MB, by role."""
        found: dict[str, float] = defaultdict(float)
        for role, processes in self._by_role().items():
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    found[role] += pss_megabytes(process.pid)
        return {role: round(found[role], 1) for role in ROLES}

    def _by_role(self) -> dict[str, list[psutil.Process]]:
        found = dict(SiteProcesses(self._site, SITE_ROLES).by_role)
        generators = [process for process in self._generators if process.is_running()]
        return found | {"locust": generators}


def cpu_by_role(before: UsageSnapshot, after: UsageSnapshot) -> dict[str, float]:
    """Returns the CPU seconds that each role used between two snapshots."""
    used = dict.fromkeys(ROLES, 0.0)
    for pid, (role, seconds) in after.processes.items():
        _role, earlier = before.processes.get(pid, (role, 0.0))
        used[role] += seconds - earlier
    return {role: round(seconds, 3) for role, seconds in used.items()}


def answered(data_dir: Path, begins: float, ends: float) -> dict[str, Any]:
    """Counts the predictions that were answered within a window, and their batches and times in milliseconds.

    The window is in seconds since the epoch. The rows come from the site's database.
    """
    times = {name: Latencies() for name in ("queue", "decode", "compute", "total")}
    starts = set()
    with contextlib.closing(sqlite3.connect(f"file:{data_dir / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT created_at, started_at, finished_at, decode_ms, compute_ms FROM predictions_prediction "
            "WHERE state = 'done' AND finished_at >= ? AND finished_at < ?",
            (_as_django(begins), _as_django(ends)),
        )
        for created, started, finished, decode, compute in rows:
            starts.add(started)
            queue = (_seconds(started) - _seconds(created)) * 1000
            total = (_seconds(finished) - _seconds(created)) * 1000
            for row, value in zip(times.values(), (queue, decode, compute, total), strict=True):
                row.finished += 1
                row.milliseconds.append(round(value, 1))
    figures = {f"{name}_ms": row.figures() for name, row in times.items()}
    return {"answered": times["total"].finished, "batches": len(starts), **figures}


def _as_django(seconds: float) -> str:
    """Formats a time as Django writes it into SQLite, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def deaths(site: RunningSite) -> list[str]:
    """Returns the messages of `manage.py up` about processes that ended by themselves."""
    return [line.strip() for line in site.output.splitlines() if " ended (" in line]
