"""What happens when a worker is killed.

1. Every 2 seconds a worker renews its entry in Redis, which expires 8 seconds later (`heartbeat.py`). A worker counts
   as alive while it has an entry and, on the same machine, also a process (`liveness.py`).
2. Every 5 seconds, between two batches, each live worker looks for jobs of dead workers
   (`BatchWorker.recover`). It finds them by two traces, with the two public methods below.
3. A job that a dead worker had started is in the started job registry. `take_back_started_jobs` moves it to the front
   of the queue and counts one more death in the job's field `deaths`.
4. A job with a death is a suspect: it may be what killed the worker. It runs alone from now on (`taking.py`), so that
   it cannot take other jobs with it a second time.
5. A job whose third worker has died fails, with `AbandonedJobError`.
6. A job that a dead worker had taken and not yet started is in the intermediate queue. `put_back_unstarted_jobs` moves
   it to the front of the queue. It counts no death, because the job did not run.

7. A worker that could not record a job, because of an error or an outage, treats it as if it had died: between two
   batches it runs nothing, so a job that is still started under its own name is an orphan too.

A worker that was suspended, not killed, finds its job taken over when it resumes, and records nothing: `finish.lua`
and `Bookkeeper.owned` first check that the job's execution is still in the started job registry.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from rq import Queue
from rq.callbacks import execute_failure_callback
from rq.exceptions import AbandonedJobError
from rq.executions import Execution
from rq.job import Job
from rq.job_lifecycle import call_exception_handlers, record_job_failure
from rq.registry import StartedJobRegistry

from worker.rq_batch.bookkeeping import Bookkeeper, TakenJob
from worker.rq_batch.liveness import live_workers
from worker.rq_batch.outages import is_outage

logger = logging.getLogger(__name__)

# A job fails when this many workers have died while they ran it.
TOO_MANY_DEATHS = 3

# A live worker starts a job within milliseconds after taking it. A worker that takes longer than this is dead.
UNSTARTED_SECONDS = 10


class Recovery:
    """Recovers the jobs of dead workers, on behalf of one live worker and in its main thread."""

    def __init__(self, worker_name: str, bookkeeper: Bookkeeper, exception_handlers: list[Callable[..., object]]):
        self._worker_name = worker_name
        self._bookkeeper = bookkeeper
        self._exception_handlers = exception_handlers
        self._unstarted_since: dict[str, dict[str, float]] = {}  # by queue and job

    def take_back_started_jobs(self, queue: Queue) -> None:
        """Moves jobs that dead workers had started to the front of the queue, or fails them after too many deaths.

        RQ itself notices such a job only a minute after its time-out.
        """
        orphans = list(self._orphans(queue))
        if not orphans:
            return
        put_back, abandoned = self._bookkeeper.take_back(queue, orphans, too_many=TOO_MANY_DEATHS)
        if put_back:
            logger.warning("Worker %s: took back %d jobs of dead workers", self._worker_name, put_back)
        for execution in abandoned:
            try:
                self._fail(queue, execution)
            except redis.RedisError:
                raise
            except Exception:
                logger.exception("Job %s could not be failed.", execution.job_id)

    def _orphans(self, queue: Queue) -> Iterator[Execution]:
        """Yields executions whose worker is dead, and those of this worker, which runs nothing at the moment."""
        executions = list(self._executions(queue))
        if not executions:
            return
        with queue.connection.pipeline(transaction=False) as pipeline:
            for execution in executions:
                pipeline.hget(execution.key, "worker_name")
                pipeline.hget(Job.key_for(execution.job_id), "worker_name")
            names = pipeline.execute(raise_on_error=False)
        alive = {worker.name for worker in live_workers(queue)} - {self._worker_name}
        for execution, name, name_in_job in zip(executions, names[::2], names[1::2], strict=True):
            if isinstance(name, Exception) and is_outage(name):
                raise name
            # The execution of a job without a time-out expires while its worker still runs it.
            name = name_in_job if name is None else name
            # A damaged execution has no name. Its worker is dead or cannot record it.
            execution.worker_name = name.decode(errors="replace") if isinstance(name, bytes) else ""
            if execution.worker_name not in alive:
                yield execution

    def _executions(self, queue: Queue) -> Iterator[Execution]:
        """Yields all executions in the started job registry. Removes entries that name none."""
        registry = StartedJobRegistry(queue=queue)
        entries: Any = queue.connection.zrange(registry.key, 0, -1)
        for entry in entries:
            job_id, _, execution_id = entry.decode(errors="replace").partition(":")
            execution = Execution(execution_id, job_id, queue.connection)
            if execution.composite_key.encode() != entry:
                logger.error("Entry %r of the started job registry names no execution and is removed.", entry)
                queue.connection.zrem(registry.key, entry)
                continue
            yield execution

    def _fail(self, queue: Queue, execution: Execution) -> None:
        """Fails a job for good, the way RQ fails an abandoned job."""
        connection = queue.connection
        lock = f"{execution.key}:failing"  # two workers must not call the job's callbacks twice
        if not connection.set(lock, self._worker_name, nx=True, ex=60):
            return
        try:
            job = Job.fetch(execution.job_id, connection=connection, serializer=queue.serializer)
        except Exception as error:  # noqa: BLE001 - damaged fields may raise anything
            if is_outage(error):
                raise
            self._bookkeeper.delete_unreadable(execution.job_id.encode(), error)
            with connection.pipeline() as pipeline:
                pipeline.zrem(StartedJobRegistry(queue=queue).key, execution.composite_key)
                pipeline.delete(execution.key, lock)
                pipeline.execute()
            return
        job.retries_left = 0  # tells callbacks that there is no further attempt
        reason = AbandonedJobError(f"{TOO_MANY_DEATHS} workers died while they ran this job")
        logger.error("Job %s fails: %s", job.id, reason)
        try:
            execute_failure_callback(job, queue.death_penalty_class, AbandonedJobError, reason, None)
        except Exception:
            logger.exception("The failure callback of job %s raised.", job.id)
        call_exception_handlers(self._exception_handlers, job, AbandonedJobError, reason, None)
        with connection.pipeline() as pipeline:
            record_job_failure(job, f"{type(reason).__name__}: {reason}", pipeline)
            execution.delete(job, pipeline)
            pipeline.delete(lock)
            pipeline.execute()
        job.send_webhooks("failed", exc_string=str(reason))
        queue.enqueue_dependents(job)

    def put_back_unstarted_jobs(self, queue: Queue) -> None:
        """Moves jobs that a dead worker had taken and not started to the front of the queue.

        It waits `UNSTARTED_SECONDS` before it does so, because a live worker may be about to start them. If there is
        no other live worker, it does not wait.
        """
        taken = list(self._taken(queue))
        at = time.monotonic()
        before = self._unstarted_since.get(queue.name, {})
        since = self._unstarted_since[queue.name] = {job_id: before.get(job_id, at) for job_id in taken}
        if not taken:
            return
        # RQ fails a job that it first saw here over a minute ago, even if the job has left and come back since.
        queue.connection.delete(*[queue.intermediate_queue.get_first_seen_key(job_id) for job_id in taken])
        alone = all(worker.name == self._worker_name for worker in live_workers(queue))
        lost = [job_id for job_id, seen in since.items() if alone or at - seen >= UNSTARTED_SECONDS]
        members = [TakenJob(Job(job_id, connection=queue.connection), deaths=0) for job_id in lost]
        if put_back := self._bookkeeper.put_back(queue, members):
            logger.warning("Worker %s: put back %d jobs that were never started", self._worker_name, put_back)

    def _taken(self, queue: Queue) -> Iterator[str]:
        """Yields the ids in the intermediate queue. Removes those that are no text: no job has such an id."""
        job_ids: Any = queue.connection.lrange(queue.intermediate_queue_key, 0, -1)
        for job_id in job_ids:
            try:
                yield job_id.decode()
            except UnicodeDecodeError as error:
                self._bookkeeper.delete_unreadable(job_id, error)
                queue.connection.lrem(queue.intermediate_queue_key, -1, job_id)
