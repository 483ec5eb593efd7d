"""The jobs of a worker that was killed: taken back at once, tried three times in all, then failed."""

from __future__ import annotations

import subprocess
import sys
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

from worker.liveness import live_workers
from worker.resident_worker import ResidentWorker
from worker.tests import slow_jobs


@pytest.fixture
def slow_queue(queue: RQQueue) -> RQQueue:
    return slow_jobs.queue(settings.REDIS_URL)


@contextmanager
def _worker_process() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "worker.tests.slow_jobs", settings.REDIS_URL]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
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
    ResidentWorker([queue]).run_maintenance_tasks()


def _enqueue(queue: RQQueue) -> Job:
    on_failure = Callback("worker.tests.slow_jobs.failed")
    return queue.enqueue("worker.tests.slow_jobs.never_ends", retry=Retry(max=2), on_failure=on_failure)


def test_it_works(slow_queue: RQQueue) -> None:
    job = _enqueue(slow_queue)
    _kill_at_work(slow_queue)
    assert job.get_status() == JobStatus.STARTED
    _take_back(slow_queue)
    assert (job.get_status(), slow_queue.job_ids) == (JobStatus.QUEUED, [job.id])
    assert StartedJobRegistry(queue=slow_queue).get_job_ids() == []


def test_three_workers_die_of_it(slow_queue: RQQueue) -> None:
    job = _enqueue(slow_queue)
    for attempt in range(3):
        assert slow_queue.job_ids == [job.id], f"attempt {attempt}"
        _kill_at_work(slow_queue)
        _take_back(slow_queue)
    assert (job.get_status(), slow_queue.job_ids) == (JobStatus.FAILED, [])
    assert slow_queue.connection.get("slow:failed")


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
    worker = ResidentWorker([slow_queue])
    worker.register_birth()
    slow_queue.connection.hset(worker.key, mapping={"hostname": "elsewhere", "host": "elsewhere", "pid": 2**22 + 1})
    assert [found.hostname for found in live_workers(slow_queue)] == ["elsewhere"]
    worker.register_death()
    assert live_workers(slow_queue) == []


def test_a_worker_whose_entry_ran_out_registers_again(slow_queue: RQQueue) -> None:
    worker = ResidentWorker([slow_queue])
    worker.register_birth()
    slow_queue.connection.flushdb()  # as after a suspension of some minutes, or with a server that lost its memory
    assert live_workers(slow_queue) == []
    worker.heartbeat()
    assert [found.name for found in live_workers(slow_queue)] == [worker.name]


def test_two_workers_do_not_take_back_twice(slow_queue: RQQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    job = _enqueue(slow_queue)
    _kill_at_work(slow_queue)
    first, second = ResidentWorker([slow_queue]), ResidentWorker([slow_queue])
    orphans = ResidentWorker._orphans

    def meanwhile(worker: ResidentWorker, *args: Any) -> list[Execution]:
        """Both have seen the orphan before either takes it back."""
        found = list(orphans(worker, *args))
        if worker is first:
            second.run_maintenance_tasks()
        return found

    monkeypatch.setattr(ResidentWorker, "_orphans", meanwhile)
    first.run_maintenance_tasks()
    assert slow_queue.job_ids == [job.id]
    job.refresh()
    assert job.retries_left == 1


def _taken_and_not_started(queue: RQQueue) -> Job:
    """A job as a worker leaves it that dies between taking and starting it."""
    job = queue.enqueue("worker.tests.slow_jobs.ends")
    queue.connection.lmove(queue.key, queue.intermediate_queue_key)
    assert queue.job_ids == []
    return job


def test_a_job_that_was_taken_and_never_started(slow_queue: RQQueue) -> None:
    job = _taken_and_not_started(slow_queue)
    later = slow_queue.enqueue("worker.tests.slow_jobs.ends")
    _take_back(slow_queue)
    assert slow_queue.job_ids == [job.id, later.id]
    assert slow_queue.intermediate_queue.get_job_ids() == []


def test_a_colleague_gets_the_time_to_start_what_it_took(slow_queue: RQQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    colleague = ResidentWorker([slow_queue])
    colleague.register_birth()
    job = _taken_and_not_started(slow_queue)
    _take_back(slow_queue)
    _take_back(slow_queue)
    assert slow_queue.job_ids == []
    monkeypatch.setattr("worker.resident_worker.UNSTARTED_SECONDS", 0)
    _take_back(slow_queue)
    assert slow_queue.job_ids == [job.id]
    colleague.register_death()


def test_json_whatever_the_command_line_says(slow_queue: RQQueue) -> None:
    worker = ResidentWorker([slow_queue.name], connection=slow_queue.connection, serializer=DefaultSerializer)
    assert worker.serializer is JSONSerializer
    pickled = RQQueue(slow_queue.name, connection=slow_queue.connection, serializer=DefaultSerializer)
    bad = pickled.enqueue("worker.tests.slow_jobs.ends")
    good = slow_queue.enqueue("worker.tests.slow_jobs.ends")
    worker.work(burst=True)
    assert (bad.get_status(), good.get_status()) == (JobStatus.FAILED, JobStatus.FINISHED)
