"""An RQ worker that runs many queued jobs of the same function as one call.

`taking.py` forms batches, this module runs them, and `recording.py` records their outcomes. `registration.py` keeps the
worker's entry in Redis, and `recovery.py` recovers the jobs of killed workers.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import redis
from rq import Queue
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer, resolve_serializer
from rq.timeouts import JobTimeoutException
from rq.utils import now
from rq.worker.base import WorkerStatus

from worker.rq_batch import metrics
from worker.rq_batch.batched import Batching
from worker.rq_batch.bookkeeping import Bookkeeper, TakenJob
from worker.rq_batch.heartbeat import TTL_SECONDS, Heartbeat, end_process_after
from worker.rq_batch.outages import OutageLog, OutageWait, is_outage
from worker.rq_batch.recovery import Recovery
from worker.rq_batch.registration import RegisteredWorker
from worker.rq_batch.taking import BLOCK_SECONDS, Batch, BatchTaker

# How often a worker looks for the jobs of dead workers.
MAINTENANCE_SECONDS = 5


def _is_past(at: float | None, seconds: float) -> bool:
    """Whether that time was so many seconds ago, by a clock that cannot be set. True if there was none."""
    return at is None or time.monotonic() - at >= seconds


class BatchWorker(RegisteredWorker):
    """A `SimpleWorker` that runs jobs of `batched` functions in batches. It runs other jobs as `SimpleWorker` does.

    It stays in one process, so that a subclass can load something expensive once (`prepare`). It writes a heartbeat
    every two seconds, and takes over the jobs of workers that were killed.

    It serialises as JSON, whatever serializer the command line, the caller or a given queue names, so that the
    arguments of a job are data and never code. A given queue is copied: the caller's object keeps its serializer.
    Anyone who can write to Redis can still name any function for a worker to call: keep Redis as private as a database.

    A worker of a single queue loses no job, even if it is killed. Redis offers no way to wait for several queues and
    move the job in one step: a worker of several queues that is killed between the two steps loses the job.
    """

    # The serializer of all jobs. Not an option: the one that the caller names is ignored.
    job_serializer: Any = JSONSerializer

    # Most seconds for `prepare`. The worker ends itself when they are over, so that a supervisor can restart it.
    prepare_seconds: float | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = self.job_serializer
        kwargs["worker_ttl"] = TTL_SECONDS
        super().__init__(*args, **kwargs)
        self.queues = [self._with_serializer(queue) for queue in self.queues]
        self._ordered_queues = self.queues[:]
        self._outages = OutageWait(self.connection, OutageLog(f"Worker {self.name}"), lambda: self._stop_requested)
        self._bookkeeper = Bookkeeper(
            self.connection, self.name, self.key, self.executions_key, lambda job_id: self.handle_unreadable(job_id)
        )
        self._taker = BatchTaker(self._bookkeeper, lambda: self._stop_requested)
        self._recovery = Recovery(self.name, self._bookkeeper, self._exc_handlers)
        self._heartbeat = Heartbeat(self._beat, self._outages.log)
        self._rate = metrics.Rate()
        self._batch: Batch | None = None
        self._jobs_left = sys.maxsize
        self._maintained_at: float | None = None
        self._cleaned_at: float | None = None

    def _with_serializer(self, queue: Queue) -> Queue:
        """Returns a copy of the queue that uses the serializer of this worker."""
        queue = copy.copy(queue)
        queue.serializer = resolve_serializer(self.job_serializer)
        return queue

    # --- For subclasses ---

    def prepare(self) -> None:
        """Called once, before the worker registers and takes jobs. Does nothing by default."""

    def context(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        """Returns a context to run and record these jobs in, for instance for logging. Does nothing by default."""
        return contextlib.nullcontext()

    def handle_dropped(self, jobs: Sequence[Job]) -> None:
        """Called with jobs that were cancelled before they could be started. Logs them."""
        self.log.info("Worker %s: dropped %d cancelled jobs", self.name, len(jobs))

    def handle_unreadable(self, job_id: str) -> None:
        """Called with the id of a job that cannot be read, before it is deleted. Does nothing by default."""

    # --- Start and end ---

    def work(self, *args: Any, max_jobs: int | None = None, **kwargs: Any) -> bool:
        """Works until it is stopped, or until it has run `max_jobs` jobs: the last batch is cut to that number.

        See RQ for the other arguments.
        """
        with end_process_after(self.prepare_seconds):
            self.prepare()
        self._jobs_left = sys.maxsize if max_jobs is None else max_jobs
        return bool(super().work(*args, **kwargs))

    def _shutdown(self) -> None:
        """Makes the worker stop after the current batch. A second signal puts the batch back (see `execute_job`).

        RQ raises an exception out of the signal handler if the worker is idle, wherever the code is.
        Here an idle worker notices within a second that it was asked to stop.
        """
        self._stop_requested = True
        if self.scheduler:
            self.stop_scheduler()  # type: ignore[no-untyped-call]

    # --- Maintenance ---

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Whether RQ's loop is to run the maintenance: never, because `dequeue_job_and_maintain_ttl` does."""
        return False

    def recover(self) -> None:
        """Recovers the jobs of dead workers. Called every few seconds, between two batches.

        An error of one step is logged, and the others go on. Raises the error of an outage.
        """
        for queue in self.queues:
            self._try(self._recovery.take_back_started_jobs, queue)
            self._try(self._recovery.put_back_unstarted_jobs, queue)

    def run_maintenance_tasks(self) -> None:
        """Calls `recover`, then does RQ's own maintenance."""
        self._maintained_at = self._cleaned_at = time.monotonic()
        self.recover()
        self._try(super().run_maintenance_tasks)

    def _maintain(self) -> None:
        """Recovers jobs if it is time to do so. Does RQ's own maintenance as often as RQ does: it logs each time."""
        if _is_past(self._cleaned_at, self.maintenance_interval):
            self.run_maintenance_tasks()
        elif _is_past(self._maintained_at, MAINTENANCE_SECONDS):
            self._maintained_at = time.monotonic()
            self.recover()

    def _try(self, step: Callable[..., None], *args: Any) -> None:
        try:
            step(*args)
        except Exception as error:
            if is_outage(error):
                raise
            self.log.exception("Worker %s: a step of the maintenance failed", self.name)

    # --- Taking a batch ---

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Takes the next batch and returns its first job. Returns `None` if the worker is to stop.

        A worker stops on request, after its last job, after `max_idle_time` seconds without one, or, if `timeout` is
        `None`, as soon as its queues are empty. It waits for the end of an outage. It also goes on after other errors,
        such as a damaged queue: it could not do better after a restart.
        """
        idle_since = time.monotonic()
        while not self._stop_requested and self._jobs_left:
            try:
                self._maintain()
                self._batch = self._take()
                if self._batch is None and self._state != WorkerStatus.IDLE:
                    self.set_state(WorkerStatus.IDLE)
                if self._batch is None and timeout is not None:
                    self._batch = self._wait()
            except Exception as error:
                if is_outage(error):
                    self._outages.log.failed(error)
                elif timeout is None:
                    raise
                else:
                    self.log.exception("Worker %s: cannot take jobs; trying again", self.name)
                self._outages.pause()
                continue
            self._outages.succeeded()
            if self._batch is not None:
                return self._batch.members[0].job, self._batch.queue
            if timeout is None or (max_idle_time is not None and time.monotonic() - idle_since >= max_idle_time):
                return None
        return None

    def _take(self) -> Batch | None:
        """Takes a batch from the first queue that has one."""
        for queue in list(self._ordered_queues):
            if batch := self._taker.take(queue, self._jobs_left):
                self.reorder_queues(reference_queue=queue)
                return batch
        return None

    def _wait(self) -> Batch | None:
        """Waits up to `BLOCK_SECONDS` for a job, and takes a batch that begins with it."""
        if len(self._ordered_queues) == 1:
            (queue,) = self._ordered_queues
            job_id = self._bookkeeper.wait(queue, BLOCK_SECONDS)
        else:
            popped = self.connection.blpop([queue.key for queue in self._ordered_queues], BLOCK_SECONDS)
            if popped is None:
                return None
            queue = next(q for q in self._ordered_queues if q.key.encode() == popped[0])
            job_id = cast(bytes, popped[1])
            self.connection.rpush(queue.intermediate_queue_key, job_id)
        return self._taker.take(queue, self._jobs_left, first=job_id) if job_id else None

    # --- Running a batch ---

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Runs the batch whose first job is `job`."""
        batch, self._batch = self._batch, None
        if batch is None:  # the caller took the job itself
            batch = Batch(queue, [TakenJob(job, deaths=0)], None)
        self._jobs_left -= len(batch.members)
        try:
            with self._entered_context([member.job for member in batch.members]):
                if batch.batching is None:
                    self._run_ordinary(batch.members[0].job, queue)
                else:
                    self._run(batch, batch.batching)
        except SystemExit:  # a second signal
            self._put_back(batch)
            raise
        except StopRequested:
            raise
        except Exception as error:
            # An error of a job is recorded and does not come here. Recovery runs the jobs of this batch again.
            self.log.error("Worker %s: could not record its batch", self.name, exc_info=not is_outage(error))
            self._maintained_at = None
        finally:
            self.executions.clear()  # also of jobs that another worker has taken over, which are recorded there
            self._heartbeat.expect_end_within(None)

    def _put_back(self, batch: Batch) -> None:
        try:
            number = self._bookkeeper.put_back(batch.queue, batch.members)
        except redis.RedisError as error:
            self.log.warning("Worker %s: could not put its jobs back (%s); recovery will", self.name, error)
        else:
            self.log.warning("Worker %s: put %d unfinished jobs back", self.name, number)

    @contextlib.contextmanager
    def _entered_context(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Enters `context`. An error there does not keep the jobs from running."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.context(jobs))
            except Exception:
                self.log.exception("Worker %s: the context of its jobs cannot be entered", self.name)
            yield

    def _run_ordinary(self, job: Job, queue: Queue) -> None:
        """Runs a single job as RQ does."""
        seconds: float | None = None
        if job.timeout and job.timeout > 0:
            # RQ's `perform_job` includes the callbacks, which have separate time-outs.
            success = job.success_callback_timeout if job._success_callback_name else 0
            failure = job.failure_callback_timeout if job._failure_callback_name else 0
            seconds = job.timeout + success + failure
        self._heartbeat.expect_end_within(seconds)
        super().execute_job(job, queue)

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """Marks an ordinary job as started, and removes it from the intermediate queue.

        RQ uses the intermediate queue only if a worker has a single queue. This worker always does.
        """
        super().prepare_job_execution(job, remove_from_intermediate_queue=True)

    def _run(self, batch: Batch, batching: Batching) -> None:
        watch = metrics.Stopwatch()
        self._start(batch)
        bookkeeping = batch.taking_seconds + watch.lap()
        if not batch.members:
            return
        outcomes = self._outcomes(batch, batching)
        run = watch.lap()
        ended = now()
        failures = self._record(batch.queue, batch.members, outcomes, ended)
        if self._state != WorkerStatus.IDLE:
            self.set_state(WorkerStatus.IDLE)
        bookkeeping += watch.lap()

        self._rate.observe(len(batch.members), run + bookkeeping)
        metrics.BATCH_SIZE.observe(len(batch.members))
        metrics.RUN.observe(run)
        metrics.BOOKKEEPING.observe(bookkeeping)
        metrics.JOBS.labels("finished").inc(len(batch.members) - len(failures))
        metrics.JOBS.labels("failed").inc(len(failures))
        self.log.info(
            "Worker %s: %d jobs in %.0f ms, %d failed", self.name, len(batch.members), run * 1000, len(failures)
        )

    def _start(self, batch: Batch) -> None:
        """Marks the jobs as started, and removes from the batch those that must not be run."""
        # If the call raises, each job runs once more: any of them may take its time as often as there are attempts.
        attempts = len(batch.members) + 1
        seconds = [self.get_heartbeat_ttl(member.job) * attempts for member in batch.members]
        cancelled, not_ours = self._outages.retry(
            lambda: self._bookkeeper.start(batch.queue, batch.members, seconds=seconds, worker_ttl=TTL_SECONDS)
        )
        batch.members = [member for member in batch.members if member.job not in (*cancelled, *not_ours)]
        if cancelled:
            metrics.JOBS.labels("dropped").inc(len(cancelled))
            try:
                self.handle_dropped(cancelled)
            except Exception:
                self.log.exception("Worker %s: the handler of dropped jobs raised", self.name)
        if batch.members:
            self._state = WorkerStatus.BUSY
        for member in batch.members:
            self.executions[member.started.id] = member.started
            if member.job.enqueued_at and member.job.started_at:
                wait = (member.job.started_at - member.job.enqueued_at).total_seconds()
                metrics.QUEUE_WAIT.observe(max(0.0, wait))

    def _outcomes(self, batch: Batch, batching: Batching) -> list[object]:
        """Returns one result or exception for each job. If the batch raises, runs each of its jobs alone."""
        try:
            return self._call(batching, batch.members)
        except BaseException as error:
            if self._is_cold_shutdown(error):
                raise
            if len(batch.members) == 1:
                return [error]
            self.log.warning(
                "Worker %s: a batch of %d raised; running its jobs one by one",
                self.name,
                len(batch.members),
                exc_info=True,
            )
        outcomes: list[object] = []
        for member in batch.members:
            try:
                outcomes += self._call(batching, [member])
            except BaseException as error:
                if self._is_cold_shutdown(error):
                    raise
                outcomes.append(error)
        return outcomes

    def _is_cold_shutdown(self, error: BaseException) -> bool:
        """Whether a second signal raised this. A job that calls `sys.exit()` merely fails, as in RQ."""
        return isinstance(error, SystemExit) and self._stop_requested

    def _call(self, batching: Batching, members: Sequence[TakenJob]) -> list[object]:
        limits = [int(member.job.timeout) for member in members if member.job.timeout and member.job.timeout > 0]
        with self._deadline(min(limits, default=None)):
            return batching.run([tuple(member.job.args) for member in members])

    @contextlib.contextmanager
    def _deadline(self, seconds: int | None) -> Iterator[None]:
        """Raises `JobTimeoutException` in the block after so many seconds. Ends the process if that has no effect."""
        self._heartbeat.expect_end_within(seconds)
        try:
            if seconds is None:
                yield
                return
            with self.death_penalty_class(seconds, JobTimeoutException):
                yield
        finally:
            # Bookkeeping follows. It may wait for a queue server that is being restarted.
            self._heartbeat.expect_end_within(None)
