"""How a batch worker's process stops: at once when it is idle, after the batch in hand, or leaving it to others."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from rq import Queue, Retry
from rq.job import Job
from rq.utils import as_text, now, utcparse

from worker.rq_batch.liveness import live_workers
from worker.rq_batch.tests import batch_jobs
from worker.rq_batch.tests.batch_jobs import CALLS, HERE

Process = subprocess.Popen[bytes]


@pytest.fixture
def jobs(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.setenv(batch_jobs.URL, settings.REDIS_URL)
    jobs = batch_jobs.queue(settings.REDIS_URL)
    yield jobs
    jobs.connection.close()


@pytest.fixture
def start() -> Iterator[Callable[[], Process]]:
    """Starts a worker."""
    processes: list[Process] = []

    def start() -> Process:
        command = [sys.executable, "-m", HERE, settings.REDIS_URL]
        processes.append(subprocess.Popen(command, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait(20)


def _slow(queue: Queue, names: str, seconds: float, function: str = "slow") -> list[Job]:
    return [queue.enqueue(f"{HERE}.{function}", name, seconds, job_id=name) for name in names]


def _began(queue: Queue) -> str:
    """What the next batch consists of, as soon as it is in hand."""
    found = queue.connection.blpop([CALLS], timeout=30)
    assert found, "no worker took a job"
    return str(as_text(found[1]))


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _waits(queue: Queue) -> bool:
    """Whether a worker blocks until a job comes."""
    return any(client["cmd"] in {"blmove", "blpop"} for client in queue.connection.client_list())


def _noticed_long_ago(queue: Queue) -> bool:
    """Whether the worker noticed the first signal a second ago; with its next heartbeat it says when."""
    said = (worker.facts.get("shutdown_requested_date") for worker in live_workers(queue))
    return any(date and now() - utcparse(date) > timedelta(seconds=1) for date in said)


def _signal_twice(queue: Queue, process: Process, number: int = signal.SIGTERM) -> None:
    """The second one as soon as the worker takes it for a second one.

    RQ takes what comes within a second of when it noticed the first for the first once more.
    """
    process.send_signal(number)
    _until(lambda: _noticed_long_ago(queue))
    process.send_signal(number)
    process.wait(20)


def _nothing_is_left_over(queue: Queue) -> None:
    assert queue.intermediate_queue.get_job_ids() == []
    assert queue.started_job_registry.get_job_and_execution_ids() == []
    assert queue.connection.keys("rq:execution:*") == []
    assert live_workers(queue) == []


def test_the_batch_in_hand_is_finished(jobs: Queue, start: Callable[[], Process]) -> None:
    queued = _slow(jobs, "abcdef", 1.5)
    process = start()
    assert _began(jobs) == "a b c d"
    process.terminate()
    assert process.wait(20) == 0
    assert [job.get_status().value for job in queued] == ["finished"] * 4 + ["queued"] * 2
    assert jobs.job_ids == ["e", "f"]
    _nothing_is_left_over(jobs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal(number: int, jobs: Queue, start: Callable[[], Process]) -> None:
    """What is unfinished goes back: first in the queue, in order, as if nobody had taken it."""
    queued = _slow(jobs, "dcbaef", 300)
    process = start()
    assert _began(jobs) == "d c b a"
    _signal_twice(jobs, process, number)
    assert jobs.job_ids == list("dcbaef")
    assert [job.get_status().value for job in queued] == ["queued"] * 6
    fields = jobs.connection.hmget(queued[0].key, ["started_at", "worker_name", "deaths"])
    assert fields == [b"", b"", None], "a worker that was stopped has not died of them"
    assert live_workers(jobs) == []
    _nothing_is_left_over(jobs)


def test_the_second_signal_while_a_job_runs_alone(jobs: Queue, start: Callable[[], Process]) -> None:
    """Also what was taken back from a dead worker before goes back, and does not fail."""
    (job,) = _slow(jobs, "a", 300)
    jobs.connection.hset(job.key, "deaths", 1)
    process = start()
    assert _began(jobs) == "a"
    _signal_twice(jobs, process)
    assert (jobs.job_ids, job.get_status().value) == (["a"], "queued")
    _nothing_is_left_over(jobs)


def test_the_second_signal_after_a_batch_that_raised(jobs: Queue, start: Callable[[], Process]) -> None:
    queued = _slow(jobs, "cba", 300, "slow_alone")
    process = start()
    assert [_began(jobs), _began(jobs)] == ["c b a", "c"]
    _signal_twice(jobs, process)
    assert jobs.job_ids == list("cba")
    assert [job.get_status().value for job in queued] == ["queued"] * 3
    _nothing_is_left_over(jobs)


def test_an_idle_worker(jobs: Queue, start: Callable[[], Process]) -> None:
    process = start()
    _until(lambda: _waits(jobs))
    process.terminate()
    assert process.wait(20) == 0
    _nothing_is_left_over(jobs)


def test_a_worker_that_waits_for_a_fuller_batch(jobs: Queue, start: Callable[[], Process]) -> None:
    """It waits no longer, and does what it has."""
    process = start()
    _until(lambda: _waits(jobs))
    job = jobs.enqueue(f"{HERE}.very_patient", 1)
    _until(lambda: jobs.intermediate_queue.get_job_ids() == [job.id] and _waits(jobs))
    process.terminate()
    assert process.wait(20) == 0
    assert job.get_status().value == "finished"
    _nothing_is_left_over(jobs)


def test_a_job_that_exits_does_not_stop_the_worker(jobs: Queue, start: Callable[[], Process]) -> None:
    """It fails. Put back, it would end one worker after the other."""
    process = start()
    bad = jobs.enqueue(f"{HERE}.all_or_nothing", "exit", 1, retry=Retry(max=1))
    _until(lambda: bad.get_status().value == "failed")
    good = jobs.enqueue(f"{HERE}.all_or_nothing", "return", 1)
    _until(lambda: good.get_status().value == "finished")
    assert process.poll() is None
