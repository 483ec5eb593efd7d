"""The heartbeat keeps a worker's entry alive during a job, and ends a process that hangs."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from rq import Callback, Queue
from rq.job import JobStatus

from worker.rq_batch import BatchWorker, batched, heartbeat, registration
from worker.rq_batch import worker as worker_module
from worker.rq_batch.bookkeeping import Bookkeeper
from worker.rq_batch.heartbeat import Heartbeat
from worker.rq_batch.liveness import LiveWorker, live_workers
from worker.rq_batch.tests import batch_jobs
from worker.rq_batch.tests.batch_jobs import HERE


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast heartbeat."""
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "HANGS_AFTER_SECONDS", 0.3)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit codes, recorded instead of ending the process."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


def _start(beat: Callable[[], None]) -> Heartbeat:
    beating = Heartbeat(beat)
    beating.start()
    return beating


@pytest.mark.parametrize("error", [redis.ConnectionError("gone"), redis.ResponseError("loading"), KeyError("?")])
def test_heartbeat_goes_on_after_errors(error: Exception) -> None:
    beats = threading.Semaphore(0)

    def fail() -> None:
        beats.release()
        raise error

    beating = _start(fail)
    assert [beats.acquire(timeout=10) for _ in range(3)] == [True] * 3
    assert beating.is_running
    beating.stop()
    assert not beating.is_running


def test_no_beat_after_stop() -> None:
    beats: list[int] = []
    beating = _start(lambda: beats.append(1))
    beating.stop()
    beats.clear()
    time.sleep(0.2)
    assert beats == []


@pytest.mark.parametrize(("seconds", "expected"), [(0, True), (60, False), (None, False)])
def test_process_ends_only_past_its_deadline(seconds: int | None, expected: bool, ended: list[int]) -> None:
    beating = _start(lambda: None)
    beating.expect_end_within(seconds)
    time.sleep(0.7)
    beating.stop()
    assert (heartbeat.EXIT_CODE in ended) is expected


def _set_act(monkeypatch: pytest.MonkeyPatch, function: Callable[[], object]) -> None:
    """Sets what the job function `act` does."""
    monkeypatch.setattr(batch_jobs, "act", batched(max_size=2)(lambda arguments: [function() for _ in arguments]))


def test_entry_outlives_its_ttl_while_a_job_runs(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "TTL_SECONDS", 1)

    def work() -> list[str]:
        time.sleep(2.5)
        return [worker.name for worker in live_workers(queue)]

    _set_act(monkeypatch, work)
    job = queue.enqueue(HERE + ".act")
    BatchWorker([queue], name="worker").work(burst=True)
    assert job.return_value() == ["worker"]
    assert live_workers(queue) == []


def test_worker_registers_again_after_the_server_lost_its_data(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[LiveWorker] = []

    def work() -> None:
        queue.connection.flushdb()
        time.sleep(0.5)
        found.extend(live_workers(queue))

    _set_act(monkeypatch, work)
    queue.enqueue(HERE + ".act")
    BatchWorker([queue], name="worker").work(burst=True)
    assert [worker.name for worker in found] == ["worker"]


def test_recording_may_take_longer_than_the_job(
    queue: Queue, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the job function has a deadline: the queue server may be away for longer."""
    finish = Bookkeeper.finish

    def finish_slowly(*args: Any) -> object:
        time.sleep(2)
        return finish(*args)

    monkeypatch.setattr(Bookkeeper, "finish", finish_slowly)
    job = queue.enqueue(HERE + ".act", "return", 1, job_timeout=1)
    BatchWorker([queue]).work(burst=True)
    assert (job.get_status(), ended) == (JobStatus.FINISHED, [])


def test_callbacks_of_an_ordinary_job_have_their_own_time_out(
    queue: Queue, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_jobs, "succeeded", lambda *_details: time.sleep(2))
    job = queue.enqueue(HERE + ".plain_act", "return", 1, job_timeout=1, on_success=Callback(HERE + ".succeeded"))
    BatchWorker([queue]).work(burst=True)
    assert (job.get_status(), ended) == (JobStatus.FINISHED, [])


def test_process_that_hangs_ends_itself_and_its_jobs_are_recovered(
    queue: Queue, start_worker: Callable[..., subprocess.Popen[bytes]]
) -> None:
    job = queue.enqueue(HERE + ".hangs", "a", job_timeout=1)
    assert start_worker("impatient").wait(60) == heartbeat.EXIT_CODE
    assert job.get_status() == JobStatus.STARTED
    BatchWorker([queue]).run_maintenance_tasks()
    assert (job.get_status(), queue.job_ids) == (JobStatus.QUEUED, [job.id])


def test_maintenance_ignores_the_wall_clock(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: at)
    recovered: list[float] = []
    worker: Any = BatchWorker([queue])
    monkeypatch.setattr(worker, "recover", lambda: recovered.append(at))
    worker._maintain()
    assert (len(recovered), worker.last_cleaned_at is not None) == (1, True)
    worker.last_cleaned_at = worker.last_cleaned_at.replace(year=2001)
    worker._maintain()
    assert len(recovered) == 1
    worker.last_cleaned_at = worker.last_cleaned_at.replace(year=2999)
    at += worker_module.MAINTENANCE_SECONDS
    worker._maintain()
    assert len(recovered) == 2


def test_own_maintenance_of_rq_is_as_rare_as_in_rq(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It logs a line each time. Dead workers are looked for more often."""
    caplog.set_level("INFO", logger="rq.worker")
    at = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: at)
    worker: Any = BatchWorker([queue])
    monkeypatch.setattr(worker.log, "propagate", True)
    for _ in range(100):
        worker._maintain()
        at += worker_module.MAINTENANCE_SECONDS
    assert caplog.text.count("cleaning registries") == 1
    at += worker.maintenance_interval
    worker._maintain()
    assert caplog.text.count("cleaning registries") == 2
