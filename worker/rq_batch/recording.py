"""Records the jobs of a batch that has ended, in a number of round trips that does not grow with the batch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rq import Queue
from rq.callbacks import execute_failure_callback, execute_success_callback
from rq.job import JobStatus, Retry
from rq.job_lifecycle import format_exc_info
from rq.worker import SimpleWorker
from rq.worker.base import WorkerStatus

from worker.rq_batch.bookkeeping import Bookkeeper, FinishCode, TakenJob
from worker.rq_batch.outages import OutageWait, is_outage


@dataclass(frozen=True)
class Failure:
    """A job that raised, and its exception."""

    member: TakenJob
    error: BaseException


@dataclass(frozen=True)
class _HandledFailure:
    """A failed job whose callbacks were called, with the text to record and the attempts that it had left."""

    member: TakenJob
    text: str
    retries_left: int | None

    @property
    def is_retried(self) -> bool:
        return self.retries_left is not None and self.retries_left > 0


class RecordingWorker(SimpleWorker):
    """The part of a `BatchWorker` that records outcomes."""

    _bookkeeper: Bookkeeper
    _outages: OutageWait

    def _record(
        self, queue: Queue, members: Sequence[TakenJob], outcomes: Sequence[object], ended: datetime
    ) -> list[Failure]:
        """Records the outcome of each job, a result or an exception. Returns the failures."""
        failures = self._record_successes(queue, members, outcomes, ended)
        self._record_failures(queue, failures, ended)
        return failures

    def _record_successes(
        self, queue: Queue, members: Sequence[TakenJob], outcomes: Sequence[object], ended: datetime
    ) -> list[Failure]:
        """Records the jobs that returned. Returns the failures, including jobs whose success callback raised."""
        failures: list[Failure] = []
        plain: list[tuple[TakenJob, object, int]] = []  # recorded together, by finish.lua
        special: list[tuple[TakenJob, object]] = []  # recorded one by one, by RQ
        for member, outcome in zip(members, outcomes, strict=True):
            job = member.job
            job.ended_at = job.last_heartbeat = ended
            if isinstance(outcome, BaseException):
                failures.append(Failure(member, outcome))
                continue
            job._result = outcome
            ttl = job.get_result_ttl(self.default_result_ttl)
            if ttl == 0 or isinstance(outcome, Retry) or job.repeats_left or job.has_rate_limit:
                special.append((member, outcome))
                continue
            try:
                job._status = JobStatus.FINISHED
                execute_success_callback(job, self.death_penalty_class, outcome)
            except Exception as error:  # noqa: BLE001 - as in RQ, an exception of the callback fails the job
                failures.append(Failure(member, error))
            else:
                plain.append((member, outcome, ttl))
        codes = self._outages.retry(lambda: self._bookkeeper.finish(queue, plain, ended))
        if plain:
            self._state = WorkerStatus.IDLE  # finish.lua has written it
        for (member, outcome, _ttl), code in zip(plain, codes, strict=True):
            if code == FinishCode.HAS_DEPENDENTS:
                member.job._success_callback = None  # type: ignore[assignment]  # it was called above
                special.append((member, outcome))
                continue
            self.executions.pop(member.started.id, None)
            if code == FinishCode.RECORDED:
                member.job.send_webhooks(JobStatus.FINISHED)
        return failures + self._record_special(queue, special)

    def _record_special(self, queue: Queue, returned: Sequence[tuple[TakenJob, object]]) -> list[Failure]:
        """Records jobs one by one with RQ's own functions. Returns those whose recording raised.

        It is for jobs with dependents, repeats or rate limits, and for results that are not kept. RQ's functions cannot
        be repeated: an outage leaves a job as it is, and recovery runs it again.
        """
        failures: list[Failure] = []
        if not returned:
            return failures
        owned = self._outages.retry(lambda: self._bookkeeper.owned(queue, [member for member, _outcome in returned]))
        for (member, outcome), ours in zip(returned, owned, strict=True):
            if not ours:
                continue
            try:
                self._finalize_success(member.job, queue, member.started, outcome)
            except Exception as error:  # noqa: BLE001 - as in RQ, any exception fails the job
                if is_outage(error):
                    self.log.error("Worker %s: could not record job %s: %s", self.name, member.job.id, error)
                else:
                    failures.append(Failure(member, error))
        return failures

    def _record_failures(self, queue: Queue, failures: Sequence[Failure], ended: datetime) -> None:
        """Records the jobs that raised: does what RQ's `handle_job_failure` does for one job, in one transaction."""
        if not failures:
            return
        members = [failure.member for failure in failures]
        owned = self._outages.retry(lambda: self._bookkeeper.owned(queue, members))
        handled = [
            _HandledFailure(failure.member, self._handle_error(failure), failure.member.job.retries_left)
            for failure, ours in zip(failures, owned, strict=True)
            if ours
        ]
        has_dependents = self._outages.retry(lambda: self._write_failures(queue, handled, ended))
        for failure, dependents in zip(handled, has_dependents, strict=True):
            job = failure.member.job
            if not failure.is_retried:
                job.send_webhooks(JobStatus.FAILED, exc_string=failure.text)
                if dependents:
                    self._enqueue_dependents_safely(queue, job)
            self._release_slot_safely(job)

    def _write_failures(self, queue: Queue, failures: Sequence[_HandledFailure], ended: datetime) -> list[bool]:
        """Records failed jobs in one transaction. Returns for each whether other jobs depend on it.

        It can be repeated: if only the reply was lost, the jobs are no longer this worker's and are not recorded again.
        """
        owned = self._bookkeeper.owned(queue, [failure.member for failure in failures])
        with self.connection.pipeline() as pipeline:
            for failure, ours in zip(failures, owned, strict=True):
                if ours:
                    failure.member.job.retries_left = failure.retries_left  # RQ counts down when it queues a job again
                    self._record_failure(queue, failure.member, ended, failure.text, failure.is_retried, pipeline)
            for failure in failures:
                pipeline.exists(failure.member.job.dependents_key)
            answers = pipeline.execute()
        return [bool(answer) for answer in answers[len(answers) - len(failures) :]]

    def _handle_error(self, failure: Failure) -> str:
        """Calls the failure callback and the exception handlers. Returns the text to record of the exception."""
        job, error = failure.member.job, failure.error
        job._status = JobStatus.FAILED
        details: tuple[Any, Any, Any] = (type(error), error, error.__traceback__)
        try:
            execute_failure_callback(job, self.death_penalty_class, *details)
        except Exception:  # noqa: BLE001 - as in RQ, it replaces the exception of the job
            details = sys.exc_info()
        self.handle_exception(job, *details)
        return format_exc_info(details)

    def _record_failure(
        self, queue: Queue, member: TakenJob, ended: datetime, text: str, retry: bool, pipeline: Any
    ) -> None:
        """Adds the commands that record one failed job, or put it into the queue again, to the pipeline."""
        job, execution = member.job, member.started
        if not retry:
            job.set_status(JobStatus.FAILED, pipeline=pipeline)
        self.cleanup_execution(job, pipeline=pipeline, execution=execution)
        if not retry and not self.disable_default_exception_handler:
            job._handle_failure(
                text,
                pipeline=pipeline,
                worker_name=self.name,
                execution_id=execution.id,
                execution_started_at=execution.created_at,
                execution_ended_at=ended,
            )
        self.increment_failed_job_count(pipeline)
        self.increment_total_working_time(ended - execution.created_at, pipeline)
        if retry:
            job.retry(queue, pipeline)
