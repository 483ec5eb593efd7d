"""A benchmark process that does queued jobs with one of RQ's workers or the batch worker, and measures the cost."""

from __future__ import annotations

import gc
import logging
import resource
import time
from dataclasses import dataclass
from typing import Any

import psutil
from rq import Queue
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker, SimpleWorker, Worker

from stress.bench import jobs  # noqa: F401 - imported once here, and not in each process that RQ forks
from stress.bench.processes import serve, server_cpu_seconds
from stress.bench.queueing import queue_at
from worker.rq_batch import BatchWorker


@dataclass(frozen=True)
class ClockReading:
    """Seconds: of a clock that all processes share, of this process's CPU with its children, of the server's CPU."""

    clock: float
    cpu: float
    server_cpu: float


class TimedWorker(BaseWorker):
    """Reads the clocks after its setup and before its teardown.

    Setup and teardown belong to no job: in the latter, RQ waits up to 0.2 seconds for a thread.
    """

    first: ClockReading
    last: ClockReading

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        super().bootstrap(*args, **kwargs)
        self.first = self._read_clocks()

    def teardown(self) -> None:
        self.last = self._read_clocks()
        super().teardown()  # type: ignore[no-untyped-call]

    def _read_clocks(self) -> ClockReading:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(usage.ru_utime + usage.ru_stime for usage in used)
        return ClockReading(time.monotonic(), cpu, server_cpu_seconds(self.connection))


KINDS: dict[str, type[BaseWorker]] = {"batch": BatchWorker, "simple": SimpleWorker, "forking": Worker}


def work(address: str, kind: str, number: int | None, warm_up: int = 0) -> dict[str, Any]:
    """Does `number` jobs, or all that wait, after `warm_up` others that do not count.

    CPU time includes this process's children. Memory is in MB. `began` and `ended` are seconds of a clock that all
    processes of the machine share.
    """
    queue = queue_at(address)
    if warm_up:
        _worker(kind, queue).work(burst=True, max_jobs=warm_up)
    worker = _worker(kind, queue)
    gc.collect()
    memory_before = _memory_megabytes()
    worker.work(burst=True, max_jobs=number)
    return {
        "began": worker.first.clock,
        "ended": worker.last.clock,
        "cpu_seconds": worker.last.cpu - worker.first.cpu,
        "server_cpu_seconds": worker.last.server_cpu - worker.first.server_cpu,
        "memory_before": memory_before,
        "memory_after": _memory_megabytes(),
    }


def _worker(kind: str, queue: Queue) -> TimedWorker:
    timed: type[TimedWorker] = type("Timed", (TimedWorker, KINDS[kind]), {})
    return timed([queue], connection=queue.connection, serializer=JSONSerializer)


def _memory_megabytes() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


if __name__ == "__main__":
    # RQ's workers log three lines a job, the batch worker one a batch. Silent, only the bookkeeping is compared.
    logging.disable(logging.INFO)
    serve(work)
