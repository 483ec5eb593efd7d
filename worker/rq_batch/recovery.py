"""Jobs of workers that died: found, and put back into the queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from rq import Queue
from rq.callbacks import execute_failure_callback
from rq.exceptions import AbandonedJobError
from rq.executions import Execution
from rq.job import Job
from rq.job_lifecycle import call_exception_handlers, record_job_failure
from rq.registry import StartedJobRegistry
from rq.utils import as_text

from worker.rq_batch.bookkeeping import Bookkeeper, TakenJob
from worker.rq_batch.liveness import live_workers

logger = logging.getLogger(__name__)

# A job that this many workers have died of is not tried again.
TOO_MANY_DEATHS = 3

# Between taking a job from the queue and starting it a living worker spends milliseconds.
UNSTARTED_SECONDS = 10


class Recovery:
    """Looks after the jobs of colleagues that are no more. For one worker, in its main thread, between its batches."""

    def __init__(self, worker_name: str, bookkeeper: Bookkeeper, exception_handlers: list[Callable[..., object]]):
        self._worker_name = worker_name
        self._bookkeeper = bookkeeper
        self._exception_handlers = exception_handlers
        self._unstarted_since: dict[str, float] = {}

    def take_back_started_jobs(self, queue: Queue) -> None:
        """Tries again what dead workers had started, each job alone; what three of them died of fails.

        RQ does something like it itself, once a job's time-out and a minute have passed.
        """
        orphans = list(self._orphans(queue))
        if not orphans:
            return
        put_back, dead = self._bookkeeper.take_back(queue, orphans, too_many=TOO_MANY_DEATHS)
        if put_back:
            logger.warning("Worker %s: took back %d jobs of dead workers", self._worker_name, put_back)
        for execution in dead:
            self._bury(queue, execution)

    def _orphans(self, queue: Queue) -> Iterator[Execution]:
        started = StartedJobRegistry(queue=queue).get_job_and_execution_ids(cleanup=False)
        if not started:
            return
        executions = [Execution(execution_id, job_id, queue.connection) for job_id, execution_id in started]
        with queue.connection.pipeline(transaction=False) as pipeline:
            for execution in executions:
                pipeline.hget(execution.key, "worker_name")
            names = pipeline.execute()
        alive = {colleague.name for colleague in live_workers(queue)} | {self._worker_name}
        for execution, name in zip(executions, names, strict=True):
            execution.worker_name = as_text(name) if name else ""
            if execution.worker_name not in alive:
                yield execution

    def _bury(self, queue: Queue, execution: Execution) -> None:
        """Fails a job for good, the way RQ fails an abandoned one."""
        connection = queue.connection
        lock = f"{execution.key}:burying"  # two workers must not call its callbacks twice
        if not connection.set(lock, self._worker_name, nx=True, ex=60):
            return
        job = Job.fetch(execution.job_id, connection=connection, serializer=queue.serializer)
        job.retries_left = 0  # says to callbacks that this was the last try
        error = AbandonedJobError(f"{TOO_MANY_DEATHS} workers died while they ran this job")
        logger.error("Job %s fails: %s", job.id, error)
        try:
            execute_failure_callback(job, queue.death_penalty_class, AbandonedJobError, error, None)
        except Exception:
            logger.exception("The failure callback of job %s raised.", job.id)
        call_exception_handlers(self._exception_handlers, job, AbandonedJobError, error, None)
        with connection.pipeline() as pipeline:
            record_job_failure(job, f"{type(error).__name__}: {error}", pipeline)
            execution.delete(job, pipeline)
            pipeline.delete(lock)
            pipeline.execute()
        job.send_webhooks("failed", exc_string=str(error))
        queue.enqueue_dependents(job)

    def put_back_unstarted_jobs(self, queue: Queue) -> None:
        """Puts first in line again what a worker took from the queue and never started, because it died just then.

        After some seconds; at once if there is no other worker: then nobody can be about to start them.
        """
        taken = queue.intermediate_queue.get_job_ids()
        moment = time.monotonic()
        self._unstarted_since = {job_id: self._unstarted_since.get(job_id, moment) for job_id in taken}
        if not taken:
            return
        # RQ fails a job that it saw here more than a minute ago, even if it has been out and in again since.
        queue.connection.delete(*[queue.intermediate_queue.get_first_seen_key(job_id) for job_id in taken])
        alone = not [colleague for colleague in live_workers(queue) if colleague.name != self._worker_name]
        lost = [
            job_id for job_id, since in self._unstarted_since.items() if alone or moment - since >= UNSTARTED_SECONDS
        ]
        members = [TakenJob(Job(job_id, connection=queue.connection), deaths=0) for job_id in lost]
        if put_back := self._bookkeeper.put_back(queue, members):
            logger.warning("Worker %s: put back %d jobs that were never started", self._worker_name, put_back)
