"""What happens to the jobs of a worker that was killed: they run again, and fail when three workers have died."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from rq import Callback, Queue, Retry
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.utils import as_text

from worker.rq_batch import BatchWorker, batched, recovery
from worker.rq_batch.bookkeeping import Bookkeeper
from worker.rq_batch.recovery import Recovery
from worker.rq_batch.tests import batch_jobs
from worker.rq_batch.tests.batch_jobs import CALLS, HERE

StartWorker = Callable[..., subprocess.Popen[bytes]]


def _start_and_kill(queue: Queue, start_worker: StartWorker) -> None:
    """Starts a worker and kills it while it runs the next job."""
    process = start_worker()
    assert queue.connection.blpop([CALLS], timeout=30), "no worker took the job"
    process.kill()
    process.wait(20)


def _recover(queue: Queue) -> None:
    BatchWorker([queue]).run_maintenance_tasks()


def _enqueue(queue: Queue) -> Job:
    return queue.enqueue(f"{HERE}.never_ends", "a", on_failure=Callback(f"{HERE}.failed"))


def _take_without_starting(queue: Queue) -> Job:
    """Leaves a job as if its worker had died between taking and starting it."""
    job = queue.enqueue(f"{HERE}.plain_act", "return", 1)
    queue.connection.lmove(queue.key, queue.intermediate_queue_key)
    assert queue.job_ids == []
    return job


def _failure(job: Job) -> str:
    result = job.latest_result()
    assert result is not None and result.exc_string is not None
    return result.exc_string


# --- Jobs that were started ---


def test_job_of_killed_worker_goes_back_to_queue(queue: Queue, start_worker: StartWorker) -> None:
    job = _enqueue(queue)
    _start_and_kill(queue, start_worker)
    assert job.get_status() == JobStatus.STARTED
    _recover(queue)
    assert (job.get_status(), queue.job_ids) == (JobStatus.QUEUED, [job.id])
    assert queue.connection.hget(job.key, "deaths") == b"1"
    assert queue.started_job_registry.get_job_ids() == []
    assert not queue.connection.keys("rq:execution*")


def test_job_fails_when_third_worker_dies(queue: Queue, start_worker: StartWorker) -> None:
    job = _enqueue(queue)
    for attempt in range(3):
        assert queue.job_ids == [job.id], f"attempt {attempt}"
        _start_and_kill(queue, start_worker)
        _recover(queue)
    assert (job.get_status(), queue.job_ids) == (JobStatus.FAILED, [])
    assert queue.failed_job_registry.get_job_ids() == [job.id]
    assert queue.connection.get("batches:failed") == b"1", "the failure callback was called once"
    assert _failure(job) == "AbandonedJobError: 3 workers died while they ran this job"
    assert not queue.connection.keys("rq:execution*"), "nothing is left of the last attempt"


def test_live_worker_keeps_its_job(queue: Queue, start_worker: StartWorker) -> None:
    job = _enqueue(queue)
    start_worker()
    assert queue.connection.blpop([CALLS], timeout=30)
    _recover(queue)
    assert (job.get_status(), queue.job_ids) == (JobStatus.STARTED, [])


@pytest.mark.parametrize("started_again", [False, True])
def test_two_workers_take_a_job_back_once(
    started_again: bool, queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _enqueue(queue)
    _start_and_kill(queue, start_worker)
    first, second = BatchWorker([queue]), BatchWorker([queue])
    orphans = Recovery._orphans

    def both_find_it(self: Recovery, queue: Queue) -> list[Execution]:
        """Both workers find the orphan before either takes it back."""
        found = list(orphans(self, queue))
        if self is first._recovery:
            second.run_maintenance_tasks()
            if started_again:
                taken = second._bookkeeper.take(queue, 1)
                second._bookkeeper.start(queue, taken, seconds=[60], worker_ttl=60)
        return found

    monkeypatch.setattr(Recovery, "_orphans", both_find_it)
    first.run_maintenance_tasks()
    assert queue.job_ids == ([] if started_again else [job.id])
    assert queue.connection.hget(job.key, "deaths") == b"1"


def _run_burst(queue: Queue, start_worker: StartWorker) -> tuple[list[str], int]:
    """Runs a worker until the queue is empty or the worker dies. Returns the jobs of each call, and its exit code."""
    code = start_worker("burst").wait(60)
    calls = [str(as_text(call)) for call in queue.connection.lrange(CALLS, 0, -1)]
    queue.connection.delete(CALLS)
    return calls, code


def test_job_that_kills_workers_runs_alone_and_fails(queue: Queue, start_worker: StartWorker) -> None:
    """The other jobs of its batch run alone and finish. Jobs that were never started run as a batch again."""
    options: dict[str, Any] = {"on_failure": Callback(f"{HERE}.failed"), "retry": Retry(max=5)}
    jobs = {
        name: queue.enqueue(f"{HERE}.slow", name, 0, job_id=name, **options)
        for name in ["a", "kill", "z", "b", "later", "last"]
    }
    assert _run_burst(queue, start_worker) == (["a kill z b"], -9)
    assert _run_burst(queue, start_worker) == (["a", "b", "kill"], -9)
    assert _run_burst(queue, start_worker) == (["kill"], -9)
    assert _run_burst(queue, start_worker) == (["z", "later last"], 0)
    statuses = {name: job.get_status().value for name, job in jobs.items()}
    assert statuses == dict.fromkeys(jobs, "finished") | {"kill": "failed"}
    assert queue.connection.get("batches:failed") == b"1"
    assert "3 workers died while they ran this job" in _failure(jobs["kill"])


@pytest.mark.parametrize(
    "outcome", ["fine", ValueError("not fine"), Retry(max=1)], ids=["returns", "raises", "returns Retry"]
)
def test_suspended_worker_records_nothing_for_jobs_taken_over(
    outcome: object, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def act(arguments: list[tuple[str]]) -> list[object]:
        """Another worker takes the job back during the first call."""
        calls.append(arguments)
        if len(calls) > 1:
            return ["second try"]
        other = Bookkeeper(queue.connection, "other", "rq:worker:other", "rq:worker:other:executions")
        orphans = [
            Execution(execution_id, job_id, queue.connection, worker_name="worker")
            for job_id, execution_id in queue.started_job_registry.get_job_and_execution_ids()
        ]
        assert other.take_back(queue, orphans, too_many=3) == (1, [])
        return [outcome]

    monkeypatch.setattr(batch_jobs, "act", batched(max_size=2)(act))
    job = queue.enqueue(f"{HERE}.act", "x")
    worker = BatchWorker([queue], name="worker")
    worker.work(burst=True)
    worker.refresh()
    assert len(calls) == 2
    assert worker.executions == {}, "it runs nothing any more"
    assert [result.return_value for result in job.results()] == ["second try"]
    assert (job.get_status(), worker.successful_job_count, worker.failed_job_count) == (JobStatus.FINISHED, 1, 0)


def test_webhooks_are_sent_once_if_the_reply_of_the_server_is_lost(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(Job, "send_webhooks", lambda job, status, **_: sent.append((job.id, status)))
    finish, attempts = Bookkeeper.finish, []

    def with_lost_reply(*args: Any) -> object:
        codes = finish(*args)
        attempts.append(codes)
        if len(attempts) == 1:
            raise redis.ConnectionError("the reply is lost")
        return codes

    monkeypatch.setattr(Bookkeeper, "finish", with_lost_reply)
    jobs = [queue.enqueue(f"{HERE}.act", "return", number, result_ttl=ttl) for number, ttl in enumerate((60, -1))]
    worker = BatchWorker([queue])
    worker.work(burst=True)
    worker.refresh()
    assert len(attempts) == 2
    assert sent == [(job.id, JobStatus.FINISHED) for job in jobs]
    assert ([len(job.results()) for job in jobs], worker.successful_job_count) == ([1, 1], 2)


# --- Jobs that were taken and not started ---


def test_unstarted_job_goes_back_at_once_when_no_other_worker_lives(queue: Queue) -> None:
    job = _take_without_starting(queue)
    later = queue.enqueue(f"{HERE}.plain_act", "return", 1)
    _recover(queue)
    assert queue.job_ids == [job.id, later.id]
    assert queue.intermediate_queue.get_job_ids() == []


def test_unstarted_job_waits_while_another_worker_lives(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    other = BatchWorker([queue])
    other.register_birth()
    job = _take_without_starting(queue)
    _recover(queue)
    _recover(queue)
    assert queue.job_ids == []
    monkeypatch.setattr(recovery, "UNSTARTED_SECONDS", 0)
    _recover(queue)
    assert queue.job_ids == [job.id]
    other.register_death()


def test_unstarted_jobs_of_several_queues_go_back(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    second = Queue("second", connection=queue.connection, serializer=queue.serializer)
    other = BatchWorker([queue, second])
    other.register_birth()
    jobs = [_take_without_starting(each) for each in (queue, second)]
    worker = BatchWorker([queue, second])
    monkeypatch.setattr(recovery, "UNSTARTED_SECONDS", 0.05)
    worker.recover()
    time.sleep(0.1)
    worker.recover()
    assert [queue.job_ids, second.job_ids] == [[job.id] for job in jobs]
    other.register_death()


def test_job_whose_execution_has_expired_stays_with_its_live_worker(queue: Queue) -> None:
    """The execution of a job without a time-out expires after some minutes."""
    other = BatchWorker([queue])
    other.register_birth()
    queue.enqueue(f"{HERE}.plain_act", "return", 1)
    taken = other._bookkeeper.take(queue, 1)
    other._bookkeeper.start(queue, taken, seconds=[60], worker_ttl=60)
    queue.connection.delete(taken[0].started.key)
    BatchWorker([queue]).recover()
    assert queue.job_ids == []
    other.register_death()


def test_job_seen_twice_in_intermediate_queue_does_not_fail(queue: Queue) -> None:
    """RQ remembers for a day when it first saw a job there, and would assume that the job has never left."""
    other = BatchWorker([queue])
    other.register_birth()
    job = _take_without_starting(queue)
    first_seen = queue.intermediate_queue.get_first_seen_key(job.id)
    queue.connection.set(first_seen, time.time() - 3600)
    _recover(queue)
    assert job.get_status() == JobStatus.QUEUED
    other.register_death()
