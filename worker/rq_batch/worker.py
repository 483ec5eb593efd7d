"""An RQ worker that runs many queued jobs of the same function as one call."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import redis
from rq import Queue, worker_registration
from rq.defaults import DEFAULT_WORKER_TTL
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from rq.utils import as_text, now, utcformat
from rq.worker.base import WorkerStatus

from worker.rq_batch import metrics
from worker.rq_batch.batched import Batching, batching_of
from worker.rq_batch.bookkeeping import Bookkeeper, TakenJob, patiently
from worker.rq_batch.heartbeat import TTL_SECONDS, Heartbeat
from worker.rq_batch.liveness import host_identity
from worker.rq_batch.recording import PATIENCE_SECONDS, RecordingWorker
from worker.rq_batch.recovery import Recovery

# How often a worker looks for jobs of dead colleagues: with the life of a heartbeat, well within 15 seconds.
MAINTENANCE_SECONDS = 5

# An idle worker asks again this often, so that it also notices a signal this soon.
BLOCK_SECONDS = 1

# Added to a job's time-out before it counts as abandoned, as in RQ's SimpleWorker.
GRACE_SECONDS = 60


@dataclass
class Batch:
    """What the worker has in hand. Without `batching` it is one ordinary job."""

    queue: Queue
    members: list[TakenJob]
    batching: Batching | None
    taking_seconds: float = 0.0


class BatchWorker(RecordingWorker):
    """`SimpleWorker` for job functions marked with `batched`; other jobs it runs as `SimpleWorker` does.

    Stays in one process with what was expensive to load, prepares before it takes the first job, says every other
    second that it lives, and takes over the jobs of workers that were killed. A job whose worker was killed is run
    again, alone; one that three workers died of fails.

    Serialises as JSON whatever the command line says, so that what a job carries is data and never code. Who can
    write to Redis can still name any function for a worker to call: Redis has to be as private as the database.

    With one queue nothing is lost at any moment; with several, RQ itself has no way to wait for all of them without
    losing the job that it has just popped when it is killed in that very moment.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["serializer"] = JSONSerializer
        kwargs["worker_ttl"] = TTL_SECONDS
        super().__init__(*args, **kwargs)
        self._bookkeeper = Bookkeeper(self.connection, self.name, self.key, self.executions_key)
        self._recovery = Recovery(self.name, self._bookkeeper, self._exc_handlers)
        self._heart = Heartbeat(self._beat)
        self._rate = metrics.Rate()
        self._batch: Batch | None = None
        self._most = 1  # how many jobs to take: what the last function bore, and for the first job one
        self._jobs_left: int | None = None
        self._maintained_at: float | None = None
        self._looked_for_suspension_at = 0.0

    # --- For subclasses ---

    def prepare(self) -> None:
        """Called once, in the worker's process, before it registers and takes jobs. Does nothing here."""

    def facts(self) -> dict[str, str]:
        """What the worker says of itself in Redis, beside what RQ says of it. Nothing here."""
        return {}

    def context(self, jobs: Sequence[Job]) -> AbstractContextManager[None]:
        """Entered while these jobs are run and recorded; for what is logged meanwhile. Does nothing here."""
        return contextlib.nullcontext()

    def handle_dropped(self, jobs: Sequence[Job]) -> None:
        """Called with jobs that were taken and turned out to be cancelled. Logs them."""
        self.log.info("Worker %s: dropped %d cancelled jobs", self.name, len(jobs))

    # --- Living ---

    def work(self, *args: Any, max_jobs: int | None = None, **kwargs: Any) -> bool:
        """As RQ's. The last batch may be smaller, so that there are never more than `max_jobs`."""
        self.prepare()
        self._jobs_left = max_jobs
        return bool(super().work(*args, **kwargs))

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        super().bootstrap(*args, **kwargs)
        self._heart.start()

    def teardown(self) -> None:
        self._heart.stop()  # first: a last beat would register the worker anew
        super().teardown()  # type: ignore[no-untyped-call]

    def serialize(self) -> dict[str, Any]:
        own = {"host": host_identity(), "rate": round(self._rate.value, 2), "metrics": metrics.published()}
        if self._shutdown_requested_date:
            own["shutdown_requested_date"] = utcformat(self._shutdown_requested_date)
        return {**super().serialize(), **own, **self.facts()}

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Says that this worker lives, where its thread does not say so already."""
        if pipeline is not None or not self._heart.is_running:
            self._beat(pipeline)

    def _beat(self, pipeline: Any = None) -> None:
        """Writes all there is to say of this worker.

        RQ writes the greater part once, at birth. A worker whose entry ran out (a suspended machine, a queue server
        that was emptied) would go on working and count as dead for ever after.
        """
        if pipeline is None:
            with self.connection.pipeline() as own:
                self._beat(own)
                own.execute()
            return
        super().heartbeat(TTL_SECONDS, pipeline)
        if self.birth_date is not None:
            pipeline.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipeline)

    def check_for_suspension(self, burst: bool) -> None:
        """As RQ's, once a second."""
        if time.monotonic() - self._looked_for_suspension_at >= 1:
            super().check_for_suspension(burst)
            self._looked_for_suspension_at = time.monotonic()

    # --- Looking after the jobs of others ---

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """By a clock that nobody can set."""
        return self._maintained_at is None or time.monotonic() - self._maintained_at >= MAINTENANCE_SECONDS

    def run_maintenance_tasks(self) -> None:
        for queue in self.queues:
            self._recovery.take_back_started_jobs(queue)
            self._recovery.put_back_unstarted_jobs(queue)
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]
        self._maintained_at = time.monotonic()

    # --- Stopping ---

    def _shutdown(self) -> None:
        """First signal: finish what is in hand and take no more. A second one puts it back (see `execute_job`).

        RQ raises an exception out of the signal handler of an idle worker, wherever that is just then. Here an idle
        worker looks once a second whether it shall stop.
        """
        self._stop_requested = True
        if self.scheduler:
            self.stop_scheduler()  # type: ignore[no-untyped-call]

    # --- Taking ---

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Takes the next batch in hand and returns its first job; `None` when there is nothing and no time left."""
        idle_since = time.monotonic()
        pause = 1.0
        while not self._stop_requested and self._jobs_left != 0:
            try:
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()
                self._batch = self._take()
                if self._batch is None and timeout is not None:
                    self._batch = self._wait()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                self.log.error("Worker %s: no connection to Redis (%s), trying again", self.name, error)
                time.sleep(pause)
                pause = min(pause * self.exponential_backoff_factor, self.max_connection_wait_time)
                continue
            if self._batch is not None:
                return self._batch.members[0].job, self._batch.queue
            if timeout is None or (max_idle_time is not None and time.monotonic() - idle_since >= max_idle_time):
                return None
        return None

    def _wait(self) -> Batch | None:
        """Blocks until a job comes, but not for long."""
        if len(self._ordered_queues) == 1:
            (queue,) = self._ordered_queues
            job_id = self.connection.blmove(queue.key, queue.intermediate_queue_key, BLOCK_SECONDS)
        else:
            popped = self.connection.blpop([queue.key for queue in self._ordered_queues], BLOCK_SECONDS)
            if popped is None:
                return None
            queue = next(q for q in self._ordered_queues if q.key == as_text(popped[0]))
            job_id = popped[1]
            self.connection.rpush(queue.intermediate_queue_key, job_id)
        return self._take_from(queue, as_text(job_id)) if job_id else None

    def _take(self) -> Batch | None:
        for queue in list(self._ordered_queues):
            if batch := self._take_from(queue):
                self.reorder_queues(reference_queue=queue)
                return batch
        return None

    def _take_from(self, queue: Queue, first: str | None = None) -> Batch | None:
        """The next batch of a queue; `first` is a job that was moved to its intermediate queue already."""
        watch = metrics.Stopwatch()
        most = self._most if self._jobs_left is None else min(self._most, self._jobs_left)
        taken = self._bookkeeper.take(queue, most, already=[first] if first else [])
        if not taken:
            return None
        batching = self._batching(taken[0].job)
        limit = batching.max_size if batching and not taken[0].deaths else 1
        limit = limit if self._jobs_left is None else min(limit, self._jobs_left)
        waiting_seconds = 0.0
        if batching and limit > 1:
            if len(taken) == most and most < limit:
                taken += self._bookkeeper.take(queue, limit - most)
            if len(taken) < limit and batching.max_wait:
                waiting = metrics.Stopwatch()
                self._wait_for_more(queue, taken, limit, batching)
                waiting_seconds = waiting.lap()
        self._most = limit
        # The first of another kind closes the batch: what came after it is not done before it.
        rest = itertools.takewhile(lambda member: self._fits(member, batching), taken[1:limit])
        members = [taken[0], *rest]
        others = taken[len(members) :]
        if others:
            self._bookkeeper.put_back(queue, others)
        if batching:
            metrics.BATCHES.labels(_why_closed(len(members), limit, bool(others), bool(waiting_seconds))).inc()
        return Batch(queue, members, batching, watch.lap() - waiting_seconds)

    def _wait_for_more(self, queue: Queue, taken: list[TakenJob], limit: int, batching: Batching) -> None:
        """Until the batch is full or its oldest job has waited so long; by no clock for longer than `max_wait`."""
        unchecked = taken[1:]
        enqueued_at = taken[0].job.enqueued_at or now()
        age = max(0.0, (now() - enqueued_at).total_seconds())
        deadline = time.monotonic() + max(0.0, batching.max_wait - age)
        while len(taken) < limit and not self._stop_requested and all(self._fits(job, batching) for job in unchecked):
            left = min(deadline - time.monotonic(), BLOCK_SECONDS)
            if left <= 0:
                return
            unchecked = []
            job_id = self.connection.blmove(queue.key, queue.intermediate_queue_key, left)  # type: ignore[arg-type]
            if job_id:
                unchecked = self._bookkeeper.take(queue, limit - len(taken), already=[as_text(job_id)])
                taken += unchecked

    @staticmethod
    def _batching(job: Job) -> Batching | None:
        """How to run a job together with others; `None` if it cannot be, or cannot be read at all."""
        try:
            return None if job.kwargs or job.instance else batching_of(job.func)
        except Exception:  # noqa: BLE001 - what cannot be read or imported fails when the job is run
            return None

    def _fits(self, member: TakenJob, batching: Batching | None) -> bool:
        return not member.deaths and self._batching(member.job) is batching

    # --- Running ---

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Runs the batch in hand, of which `job` is the first."""
        batch, self._batch = self._batch, None
        if batch is None:  # somebody calls this who did not take the job here
            batch = Batch(queue, [TakenJob(job, deaths=0)], None)
        if self._jobs_left is not None:
            self._jobs_left -= len(batch.members)
        try:
            with self.context([member.job for member in batch.members]):
                if batch.batching is None:
                    self._run_ordinary(batch.members[0].job, queue)
                else:
                    self._run(batch, batch.batching)
        except SystemExit:
            number = self._bookkeeper.put_back(queue, batch.members)
            self.log.warning("Worker %s: put %d unfinished jobs back", self.name, number)
            raise
        finally:
            self._heart.expect_end_within(None)

    def _run_ordinary(self, job: Job, queue: Queue) -> None:
        seconds: float | None = None
        if job.timeout and job.timeout > 0:
            # Within RQ's `perform_job` the callbacks have their own time.
            success = job.success_callback_timeout if job._success_callback_name else 0
            failure = job.failure_callback_timeout if job._failure_callback_name else 0
            seconds = job.timeout + success + failure
        self._heart.expect_end_within(seconds)
        super().execute_job(job, queue)

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        # Jobs of several queues go through their intermediate queues too.
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
        # If the batch as a whole raises, each of its jobs is run once more and may take its time again.
        turns = len(batch.members) + 1
        seconds = [self._timeout(member.job) * turns + GRACE_SECONDS for member in batch.members]
        cancelled, not_ours = patiently(
            self.connection,
            lambda: self._bookkeeper.start(batch.queue, batch.members, seconds=seconds, worker_ttl=TTL_SECONDS),
            seconds=PATIENCE_SECONDS,
        )
        batch.members = [member for member in batch.members if member.job not in (*cancelled, *not_ours)]
        if cancelled:
            metrics.JOBS.labels("dropped").inc(len(cancelled))
            self.handle_dropped(cancelled)
        if batch.members:
            self._state = WorkerStatus.BUSY
        for member in batch.members:
            self.executions[member.started.id] = member.started
            if member.job.enqueued_at and member.job.started_at:
                wait = (member.job.started_at - member.job.enqueued_at).total_seconds()
                metrics.QUEUE_WAIT.observe(max(0.0, wait))

    def _timeout(self, job: Job) -> int:
        """Seconds that a job may take; for one without a limit, what RQ assumes then."""
        return int(job.timeout) if job.timeout and job.timeout > 0 else DEFAULT_WORKER_TTL

    def _outcomes(self, batch: Batch, batching: Batching) -> list[object]:
        """One result or exception for each job. If the batch as a whole raises, each job is run alone."""
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
        """Whether it came from a second signal. A job that calls `sys.exit()` fails, as in RQ."""
        return isinstance(error, SystemExit) and self._stop_requested

    def _call(self, batching: Batching, members: Sequence[TakenJob]) -> list[object]:
        limits = [int(member.job.timeout) for member in members if member.job.timeout and member.job.timeout > 0]
        with self._deadline(min(limits, default=None)):
            return batching.run([tuple(member.job.args) for member in members])

    @contextlib.contextmanager
    def _deadline(self, seconds: int | None) -> Iterator[None]:
        self._heart.expect_end_within(seconds)
        try:
            if seconds is None:
                yield
                return
            with self.death_penalty_class(seconds, JobTimeoutException):
                yield
        finally:
            # What follows is bookkeeping, which may have to wait for a server that is restarted.
            self._heart.expect_end_within(None)


def _why_closed(size: int, limit: int, others: bool, waited: bool) -> str:
    if size == limit:
        return "full"
    if others:
        return "mixed"
    return "waited" if waited else "drained"
