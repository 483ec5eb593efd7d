"""A running site under the eyes of the matrix: CPU and memory by role, the queue's length, the sizes of the batches."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
from stress.bench.site import Processes
from stress.recorder import Row
from worker.rq_batch.liveness import live_workers
from worker.rq_batch.metrics import published_metrics

QUEUE = "predictions"
KINDS = {"rqworker": "worker", "granian": "web", "valkey-server": "valkey", "manage.py exporter": "exporter"}
ROLES = ("web", "worker", "valkey", "exporter", "supervisor", "locust")
EVERY_SECONDS = 0.5


@dataclass
class Snapshot:
    """What has been used until now: CPU seconds of each process with its role, and of the whole machine."""

    processes: dict[int, tuple[str, float]]
    busy: float
    batches: dict[str, float]


class Watch:
    """Looks at a site's processes and at its queue server. The queue's length is read all the time in a thread."""

    def __init__(self, site: RunningSite, generators: Iterable[int]) -> None:
        self._site = site
        self._generators = [psutil.Process(pid) for pid in generators]
        address = f"unix://{embedded_valkey.socket_path(site.data_dir)}"
        connection = redis.Redis.from_url(address)
        self._queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read_lengths, daemon=True)
        self.lengths: list[tuple[float, int]] = []  # seconds since the epoch, jobs that no worker has taken yet

    def __enter__(self) -> Watch:
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

    def snapshot(self) -> Snapshot:
        processes: dict[int, tuple[str, float]] = {}
        for role, found in self._by_role().items():
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    processes[process.pid] = (role, times.user + times.system)
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0) - getattr(machine, "guest", 0.0)
        return Snapshot(processes, busy, self._batches())

    def memory(self) -> dict[str, float]:
        """PSS in MB, by role."""
        found: dict[str, float] = defaultdict(float)
        for role, processes in self._by_role().items():
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    found[role] += pss_megabytes(process.pid)
        return {role: round(found[role], 1) for role in ROLES}

    def _by_role(self) -> dict[str, list[psutil.Process]]:
        found = dict(Processes(self._site, KINDS).by_kind)
        generators = [process for process in self._generators if process.is_running()]
        return found | {"locust": generators}

    def _batches(self) -> dict[str, float]:
        """Samples of `worker_batch_size`, over all workers: what /metrics tells, read where it comes from.

        Not over HTTP: under load that would wait in line with everybody else. Workers publish every two seconds.
        """
        total: dict[str, float] = defaultdict(float)
        for worker in live_workers(self._queue):
            for metric in published_metrics(worker.name, worker.facts.get("metrics", "[]")):
                if metric.name == "worker_batch_size":
                    for sample in metric.samples:
                        name = sample.labels.get("le") or sample.name.removeprefix("worker_batch_size_")
                        total[name] += sample.value
        return dict(total)


def cpu_by_role(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """CPU seconds that each role used in between."""
    used = dict.fromkeys(ROLES, 0.0)
    for pid, (role, seconds) in after.processes.items():
        _role, earlier = before.processes.get(pid, (role, 0.0))
        used[role] += seconds - earlier
    return {role: round(seconds, 3) for role, seconds in used.items()}


def batch_sizes(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Any]:
    """How many batches there were in between, their mean size, and how many of at most each size."""
    difference = {name: number - before.get(name, 0) for name, number in after.items()}
    count, jobs = difference.pop("count", 0), difference.pop("sum", 0)
    difference.pop("created", 0)
    bounds = sorted((bound for bound in difference if bound != "+Inf"), key=float)
    at_most = {str(int(float(bound))): int(difference[bound]) for bound in bounds}
    return {"batches": int(count), "mean": round(jobs / count, 2) if count else None, "at_most": at_most}


@dataclass
class Answered:
    """The rows that were answered within a window. Milliseconds."""

    number: int = 0
    batches: int = 0
    times: dict[str, Row] = field(
        default_factory=lambda: {name: Row() for name in ("queue", "decode", "compute", "total")}
    )

    def as_json(self) -> dict[str, Any]:
        times = {f"{name}_ms": row.figures() for name, row in self.times.items()}
        return {"answered": self.number, "batches": self.batches, **times}


def answered(data_dir: Path, begins: float, ends: float) -> Answered:
    """What the site's own rows tell of a window, in seconds since the epoch."""
    found = Answered()
    starts = set()
    with contextlib.closing(sqlite3.connect(f"file:{data_dir / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT created_at, started_at, finished_at, decode_ms, compute_ms FROM predictions_prediction "
            "WHERE state = 'done' AND finished_at >= ? AND finished_at < ?",
            (_moment(begins), _moment(ends)),
        )
        for created, started, finished, decode, compute in rows:
            found.number += 1
            starts.add(started)
            queue = (_seconds(started) - _seconds(created)) * 1000
            total = (_seconds(finished) - _seconds(created)) * 1000
            for name, value in (("queue", queue), ("decode", decode), ("compute", compute), ("total", total)):
                row = found.times[name]
                row.finished += 1
                row.count(value)
    found.batches = len(starts)
    return found


def _moment(seconds: float) -> str:
    """As Django writes it into SQLite, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def deaths(site: RunningSite) -> list[str]:
    """What `manage.py up` said of programs that ended by themselves."""
    return [line.strip() for line in site.output.splitlines() if " ended (" in line]


def read_recorded(files: Iterable[Path]) -> list[dict[str, Any]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]
