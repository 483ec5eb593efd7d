"""How a batch worker's process stops: at once when it is idle, after the batch in hand, or leaving it to others."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from rq import Queue, Retry
from rq.job import Job
from rq.utils import as_text, now, utcparse

from worker.rq_batch.liveness import live_workers
from worker.rq_batch.tests.batch_jobs import CALLS, HERE

Process = subprocess.Popen[bytes]


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


def test_the_batch_in_hand_is_finished(queue: Queue, start_worker: Callable[..., Process]) -> None:
    queued = _slow(queue, "abcdef", 1.5)
    process = start_worker()
    assert _began(queue) == "a b c d"
    process.terminate()
    assert process.wait(20) == 0
    assert [job.get_status().value for job in queued] == ["finished"] * 4 + ["queued"] * 2
    assert queue.job_ids == ["e", "f"]
    _nothing_is_left_over(queue)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal(number: int, queue: Queue, start_worker: Callable[..., Process]) -> None:
    """What is unfinished goes back: first in the queue, in order, as if nobody had taken it."""
    queued = _slow(queue, "dcbaef", 300)
    process = start_worker()
    assert _began(queue) == "d c b a"
    _signal_twice(queue, process, number)
    assert queue.job_ids == list("dcbaef")
    assert [job.get_status().value for job in queued] == ["queued"] * 6
    fields = queue.connection.hmget(queued[0].key, ["started_at", "worker_name", "deaths"])
    assert fields == [b"", b"", None], "a worker that was stopped has not died of them"
    assert live_workers(queue) == []
    _nothing_is_left_over(queue)


def test_the_second_signal_while_a_job_runs_alone(queue: Queue, start_worker: Callable[..., Process]) -> None:
    """Also what was taken back from a dead worker before goes back, and does not fail."""
    (job,) = _slow(queue, "a", 300)
    queue.connection.hset(job.key, "deaths", 1)
    process = start_worker()
    assert _began(queue) == "a"
    _signal_twice(queue, process)
    assert (queue.job_ids, job.get_status().value) == (["a"], "queued")
    _nothing_is_left_over(queue)


def test_the_second_signal_after_a_batch_that_raised(queue: Queue, start_worker: Callable[..., Process]) -> None:
    queued = _slow(queue, "cba", 300, "slow_alone")
    process = start_worker()
    assert [_began(queue), _began(queue)] == ["c b a", "c"]
    _signal_twice(queue, process)
    assert queue.job_ids == list("cba")
    assert [job.get_status().value for job in queued] == ["queued"] * 3
    _nothing_is_left_over(queue)


def test_an_idle_worker(queue: Queue, start_worker: Callable[..., Process]) -> None:
    process = start_worker()
    _until(lambda: _waits(queue))
    process.terminate()
    assert process.wait(20) == 0
    _nothing_is_left_over(queue)


def test_a_worker_that_waits_for_a_fuller_batch(queue: Queue, start_worker: Callable[..., Process]) -> None:
    """It waits no longer, and does what it has."""
    process = start_worker()
    _until(lambda: _waits(queue))
    job = queue.enqueue(f"{HERE}.very_patient", 1)
    _until(lambda: queue.intermediate_queue.get_job_ids() == [job.id] and _waits(queue))
    process.terminate()
    assert process.wait(20) == 0
    assert job.get_status().value == "finished"
    _nothing_is_left_over(queue)


def test_a_job_that_exits_does_not_stop_the_worker(queue: Queue, start_worker: Callable[..., Process]) -> None:
    """It fails. Put back, it would end one worker after the other."""
    process = start_worker()
    bad = queue.enqueue(f"{HERE}.all_or_nothing", "exit", 1, retry=Retry(max=1))
    _until(lambda: bad.get_status().value == "failed")
    good = queue.enqueue(f"{HERE}.all_or_nothing", "return", 1)
    _until(lambda: good.get_status().value == "finished")
    assert process.poll() is None
