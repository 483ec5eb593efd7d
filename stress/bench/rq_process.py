"""A contender that works off jobs of `queueing` with one of RQ's workers, or with ours, and says what that took."""

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

from stress.bench import jobs  # noqa: F401 - loaded here once, and not in each process that RQ forks
from stress.bench.processes import serve, server_cpu_seconds
from stress.bench.queueing import queue_at
from worker.rq_batch import BatchWorker


@dataclass(frozen=True)
class Moment:
    """Seconds: of a clock that all processes share, of this process's CPU with its children, of the server's CPU."""

    clock: float
    cpu: float
    server_cpu: float


class Timed(BaseWorker):
    """Looks at the clocks when it has set itself up, and again before it takes itself down.

    What lies before and after belongs to no job: RQ's ending alone waits up to 0.2 seconds for a thread.
    """

    first: Moment
    last: Moment

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        super().bootstrap(*args, **kwargs)
        self.first = self._moment()

    def teardown(self) -> None:
        self.last = self._moment()
        super().teardown()  # type: ignore[no-untyped-call]

    def _moment(self) -> Moment:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(usage.ru_utime + usage.ru_stime for usage in used)
        return Moment(time.monotonic(), cpu, server_cpu_seconds(self.connection))


class TimedBatchWorker(Timed, BatchWorker):
    pass


class TimedSimpleWorker(Timed, SimpleWorker):
    pass


class TimedForkingWorker(Timed, Worker):
    pass


KINDS: dict[str, type[Timed]] = {"batch": TimedBatchWorker, "simple": TimedSimpleWorker, "forking": TimedForkingWorker}


def work(address: str, kind: str, number: int | None, warm_up: int = 0) -> dict[str, Any]:
    """Works off `number` jobs, or all that are there, after `warm_up` others that do not count.

    Seconds of CPU are those of this process with its children, and those of the server. Memory is in MB. `began`
    and `ended` are seconds of a clock that all processes of the machine share.
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


def _worker(kind: str, queue: Queue) -> Timed:
    return KINDS[kind]([queue], connection=queue.connection, serializer=JSONSerializer)


def _memory_megabytes() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


if __name__ == "__main__":
    # RQ's workers write three lines a job, ours one a batch: without them the comparison is about the bookkeeping.
    logging.disable(logging.INFO)
    serve(work)
