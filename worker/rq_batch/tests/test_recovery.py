"""The jobs of a worker that was killed: taken back at once, tried three times in all, then failed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from rq import Callback, Retry
from rq import Queue as RQQueue
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import DefaultSerializer, JSONSerializer
from rq.utils import as_text

from worker.rq_batch import BatchWorker, batched
from worker.rq_batch.bookkeeping import Bookkeeper
from worker.rq_batch.liveness import live_workers
from worker.rq_batch.recovery import Recovery
from worker.rq_batch.tests import batch_jobs, slow_jobs


@pytest.fixture
def slow_queue(queue: RQQueue) -> RQQueue:
    return slow_jobs.queue(settings.REDIS_URL)


@contextmanager
def _worker_process() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "worker.rq_batch.tests.slow_jobs", settings.REDIS_URL]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


def _kill_at_work(queue: RQQueue) -> None:
    """A worker takes the next job, and dies in the middle of it."""
    with _worker_process():
        assert queue.connection.blpop([slow_jobs.STARTED], timeout=30), "no worker took the job"


def _take_back(queue: RQQueue) -> None:
    BatchWorker([queue]).run_maintenance_tasks()


def _enqueue(queue: RQQueue) -> Job:
    return queue.enqueue(
        "worker.rq_batch.tests.slow_jobs.never_ends", on_failure=Callback("worker.rq_batch.tests.slow_jobs.failed")
    )


def test_it_works(slow_queue: RQQueue) -> None:
    job = _enqueue(slow_queue)
    _kill_at_work(slow_queue)
    assert job.get_status() == JobStatus.STARTED
    _take_back(slow_queue)
    assert (job.get_status(), slow_queue.job_ids) == (JobStatus.QUEUED, [job.id])
    assert slow_queue.connection.hget(job.key, "deaths") == b"1"
    assert StartedJobRegistry(queue=slow_queue).get_job_ids() == []
    assert not slow_queue.connection.keys("rq:execution*")


def test_three_workers_die_of_it(slow_queue: RQQueue) -> None:
    job = _enqueue(slow_queue)
    for attempt in range(3):
        assert slow_queue.job_ids == [job.id], f"attempt {attempt}"
        _kill_at_work(slow_queue)
        _take_back(slow_queue)
    assert (job.get_status(), slow_queue.job_ids) == (JobStatus.FAILED, [])
    assert slow_queue.failed_job_registry.get_job_ids() == [job.id]
    assert slow_queue.connection.get("slow:failed") == b"1"
    result = job.latest_result()
    assert result is not None and result.exc_string == "AbandonedJobError: 3 workers died while they ran this job"
    assert not slow_queue.connection.keys("rq:execution*"), "nothing is left of the last try"


def test_a_living_worker_keeps_its_job(slow_queue: RQQueue) -> None:
    job = _enqueue(slow_queue)
    with _worker_process():
        assert slow_queue.connection.blpop([slow_jobs.STARTED], timeout=30)
        _take_back(slow_queue)
        assert (job.get_status(), slow_queue.job_ids) == (JobStatus.STARTED, [])


def test_live_workers(slow_queue: RQQueue) -> None:
    _enqueue(slow_queue)
    with _worker_process() as process:
        assert slow_queue.connection.blpop([slow_jobs.STARTED], timeout=30)
        assert [(worker.pid, worker.state) for worker in live_workers(slow_queue)] == [(process.pid, "busy")]
    assert slow_queue.connection.scard(f"rq:workers:{slow_queue.name}") == 1, "what it wrote is still there"
    assert live_workers(slow_queue) == []


def test_a_worker_elsewhere_counts_by_its_word(slow_queue: RQQueue) -> None:
    worker = BatchWorker([slow_queue])
    worker.register_birth()
    slow_queue.connection.hset(worker.key, mapping={"hostname": "elsewhere", "host": "elsewhere", "pid": 2**22 + 1})
    assert [found.hostname for found in live_workers(slow_queue)] == ["elsewhere"]
    worker.register_death()
    assert live_workers(slow_queue) == []


def test_a_worker_whose_entry_ran_out_registers_again(slow_queue: RQQueue) -> None:
    worker = BatchWorker([slow_queue])
    worker.register_birth()
    slow_queue.connection.flushdb()  # as after a suspension of some minutes, or with a server that lost its memory
    assert live_workers(slow_queue) == []
    worker.heartbeat()
    assert [found.name for found in live_workers(slow_queue)] == [worker.name]


@pytest.mark.parametrize("started_again", [False, True])
def test_two_workers_do_not_take_back_twice(
    started_again: bool, slow_queue: RQQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _enqueue(slow_queue)
    _kill_at_work(slow_queue)
    first, second = BatchWorker([slow_queue]), BatchWorker([slow_queue])
    orphans = Recovery._orphans

    def meanwhile(recovery: Recovery, queue: RQQueue) -> list[Execution]:
        """Both have seen the orphan before either takes it back."""
        found = list(orphans(recovery, queue))
        if recovery is first._recovery:
            second.run_maintenance_tasks()
            if started_again:
                taken = second._bookkeeper.take(slow_queue, 1)
                second._bookkeeper.start(slow_queue, taken, seconds=[60], worker_ttl=60)
        return found

    monkeypatch.setattr(Recovery, "_orphans", meanwhile)
    first.run_maintenance_tasks()
    assert slow_queue.job_ids == ([] if started_again else [job.id])
    assert slow_queue.connection.hget(job.key, "deaths") == b"1"


def _taken_and_not_started(queue: RQQueue) -> Job:
    """A job as a worker leaves it that dies between taking and starting it."""
    job = queue.enqueue("worker.rq_batch.tests.slow_jobs.ends")
    queue.connection.lmove(queue.key, queue.intermediate_queue_key)
    assert queue.job_ids == []
    return job


def test_a_job_that_was_taken_and_never_started(slow_queue: RQQueue) -> None:
    job = _taken_and_not_started(slow_queue)
    later = slow_queue.enqueue("worker.rq_batch.tests.slow_jobs.ends")
    _take_back(slow_queue)
    assert slow_queue.job_ids == [job.id, later.id]
    assert slow_queue.intermediate_queue.get_job_ids() == []


def test_a_colleague_gets_the_time_to_start_what_it_took(slow_queue: RQQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    colleague = BatchWorker([slow_queue])
    colleague.register_birth()
    job = _taken_and_not_started(slow_queue)
    _take_back(slow_queue)
    _take_back(slow_queue)
    assert slow_queue.job_ids == []
    monkeypatch.setattr("worker.rq_batch.recovery.UNSTARTED_SECONDS", 0)
    _take_back(slow_queue)
    assert slow_queue.job_ids == [job.id]
    colleague.register_death()


def test_a_job_that_is_seen_between_taking_and_starting_again(slow_queue: RQQueue) -> None:
    """RQ would fail it: it remembers for a day that the job was there, and thinks it has been there all the time."""
    colleague = BatchWorker([slow_queue])
    colleague.register_birth()
    job = _taken_and_not_started(slow_queue)
    first_seen = slow_queue.intermediate_queue.get_first_seen_key(job.id)
    slow_queue.connection.set(first_seen, time.time() - 3600)
    _take_back(slow_queue)
    assert job.get_status() == JobStatus.QUEUED
    colleague.register_death()


def test_json_whatever_the_command_line_says(slow_queue: RQQueue) -> None:
    worker = BatchWorker([slow_queue.name], connection=slow_queue.connection, serializer=DefaultSerializer)
    assert worker.serializer is JSONSerializer
    pickled = RQQueue(slow_queue.name, connection=slow_queue.connection, serializer=DefaultSerializer)
    bad = pickled.enqueue("worker.rq_batch.tests.slow_jobs.ends")
    good = slow_queue.enqueue("worker.rq_batch.tests.slow_jobs.ends")
    worker.work(burst=True)
    assert (bad.get_status(), good.get_status()) == (JobStatus.FAILED, JobStatus.FINISHED)


# --- Batches ---


def _die_or_finish(queue: RQQueue, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], int]:
    """What the calls of one more worker were given, and how its process ended."""
    monkeypatch.setenv(batch_jobs.URL, settings.REDIS_URL)
    command = [sys.executable, "-m", batch_jobs.HERE, settings.REDIS_URL, "burst"]
    process = subprocess.run(command, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL, timeout=60)
    calls = queue.connection.lrange(batch_jobs.CALLS, 0, -1)
    queue.connection.delete(batch_jobs.CALLS)
    return [str(as_text(call)) for call in calls], process.returncode


def test_a_batch_with_a_job_that_kills_its_worker(queue: RQQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours are run alone, and finish; so do those that were never started. It fails with the third worker."""
    batches = batch_jobs.queue(settings.REDIS_URL)
    options: dict[str, Any] = {"on_failure": Callback(f"{batch_jobs.HERE}.failed"), "retry": Retry(max=5)}
    jobs = {
        name: batches.enqueue(f"{batch_jobs.HERE}.slow", name, 0, job_id=name, **options)
        for name in ["a", "kill", "z", "b", "later", "last"]
    }
    assert _die_or_finish(batches, monkeypatch) == (["a kill z b"], -9)
    assert _die_or_finish(batches, monkeypatch) == (["a", "b", "kill"], -9)
    assert _die_or_finish(batches, monkeypatch) == (["kill"], -9)
    assert _die_or_finish(batches, monkeypatch) == (["z", "later last"], 0)
    ends = {name: job.get_status().value for name, job in jobs.items()}
    assert ends == dict.fromkeys(jobs, "finished") | {"kill": "failed"}
    assert batches.connection.get("batches:failed") == b"1"
    result = jobs["kill"].latest_result()
    assert result is not None and "3 workers died while they ran this job" in (result.exc_string or "")
    batches.connection.close()


RETURNS, RAISES = "fine", ValueError("not fine")


@pytest.mark.parametrize("outcome", [RETURNS, RAISES, Retry(max=1)], ids=["returns", "raises", "special"])
def test_a_worker_that_was_thought_dead(outcome: object, queue: RQQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of jobs that others have taken back does not count."""
    batches, calls = batch_jobs.queue(settings.REDIS_URL), []

    def taken_back_meanwhile(arguments: list[tuple[str]]) -> list[object]:
        calls.append(arguments)
        if len(calls) > 1:
            return ["second try"]
        colleague = Bookkeeper(batches.connection, "colleague", "rq:worker:colleague", "rq:worker:colleague:executions")
        orphans = [
            Execution(execution_id, job_id, batches.connection, worker_name="worker")
            for job_id, execution_id in batches.started_job_registry.get_job_and_execution_ids()
        ]
        assert colleague.take_back(batches, orphans, too_many=3) == (1, [])
        return [outcome]

    monkeypatch.setattr(batch_jobs, "act", batched(max_size=2)(taken_back_meanwhile))
    job = batches.enqueue(f"{batch_jobs.HERE}.act", "x")
    worker = BatchWorker([batches], name="worker")
    worker.work(burst=True)
    worker.refresh()
    assert len(calls) == 2
    assert [result.return_value for result in job.results()] == ["second try"]
    assert (job.get_status(), worker.successful_job_count, worker.failed_job_count) == (JobStatus.FINISHED, 1, 0)
    batches.connection.close()
