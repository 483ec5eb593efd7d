"""Takes jobs out of a queue, and decides which of them form the next batch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from rq import Queue
from rq.job import Job
from rq.utils import now

from worker.rq_batch import metrics
from worker.rq_batch.batched import Batching, batching_of
from worker.rq_batch.bookkeeping import Bookkeeper, TakenJob

# A blocking wait ends this often, so that a worker notices a signal this soon.
BLOCK_SECONDS = 1


@dataclass
class Batch:
    """The jobs that a worker runs next. Without `batching` it is a single ordinary job."""

    queue: Queue
    members: list[TakenJob]
    batching: Batching | None
    taking_seconds: float = 0.0


class BatchTaker:
    """Takes the batches of one worker.

    Args:
        bookkeeper: moves the jobs in Redis.
        is_stopping: whether the worker was asked to stop; it then waits for no more jobs.
    """

    def __init__(self, bookkeeper: Bookkeeper, is_stopping: Callable[[], bool]) -> None:
        self._bookkeeper = bookkeeper
        self._is_stopping = is_stopping
        # How many jobs to take before the first one is known: as many as the last batch could hold.
        self._last_limit = 1

    def take(self, queue: Queue, max_jobs: int, *, first: bytes | None = None) -> Batch | None:
        """Takes the next batch of at most `max_jobs` jobs; `None` if the queue is empty.

        `first` is the id of a job that is in the intermediate queue already.
        """
        watch = metrics.Stopwatch()
        most = min(self._last_limit, max_jobs)
        taken = self._bookkeeper.take(queue, most, already=[first] if first else [])
        if not taken:
            return None
        batching = _batching(taken[0].job)
        limit = min(batching.max_size if batching and not taken[0].is_suspect else 1, max_jobs)
        waiting_seconds = 0.0
        if batching and limit > 1:
            if len(taken) == most and most < limit:
                taken += self._bookkeeper.take(queue, limit - most)
            if len(taken) < limit and batching.max_wait:
                waiting = metrics.Stopwatch()
                self._wait_for_more(queue, taken, limit, batching)
                waiting_seconds = waiting.lap()
        self._last_limit = limit
        # The first job that does not fit closes the batch: no job is run before one that was queued earlier.
        rest = itertools.takewhile(lambda member: _fits(member, batching), taken[1:limit])
        members = [taken[0], *rest]
        others = taken[len(members) :]
        if others:
            self._bookkeeper.put_back(queue, others)
        if batching:
            metrics.BATCHES.labels(_why_closed(len(members), limit, bool(others), bool(waiting_seconds))).inc()
        return Batch(queue, members, batching, watch.lap() - waiting_seconds)

    def _wait_for_more(self, queue: Queue, taken: list[TakenJob], limit: int, batching: Batching) -> None:
        """Adds jobs to `taken` until the batch is full or its oldest job is `max_wait` seconds old.

        A job's age goes by the wall clock, which may be set. The wait itself goes by the monotonic clock, so it never
        takes longer than `max_wait`.
        """
        unchecked = taken[1:]
        enqueued_at = taken[0].job.enqueued_at or now()
        age = max(0.0, (now() - enqueued_at).total_seconds())
        deadline = time.monotonic() + max(0.0, batching.max_wait - age)
        while len(taken) < limit and not self._is_stopping() and all(_fits(job, batching) for job in unchecked):
            left = min(deadline - time.monotonic(), BLOCK_SECONDS)
            if left <= 0:
                return
            job_id = self._bookkeeper.wait(queue, left)
            unchecked = self._bookkeeper.take(queue, limit - len(taken), already=[job_id]) if job_id else []
            taken += unchecked


def _batching(job: Job) -> Batching | None:
    """Returns how to run a job together with others; `None` if it must run as an ordinary job."""
    try:
        return None if job.kwargs or job.instance else batching_of(job.func)
    except Exception:  # noqa: BLE001 - a job that cannot be read or imported fails when it is run
        return None


def _fits(member: TakenJob, batching: Batching | None) -> bool:
    return not member.is_suspect and _batching(member.job) is batching


def _why_closed(size: int, limit: int, others: bool, waited: bool) -> str:
    if size == limit:
        return "full"
    if others:
        return "mixed"
    return "waited" if waited else "drained"
