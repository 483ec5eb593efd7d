"""The first signal stops a worker after its current batch, the second one at once."""

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
StartWorker = Callable[..., Process]


def _enqueue(queue: Queue, names: str, seconds: float, function: str = "slow") -> list[Job]:
    return [queue.enqueue(f"{HERE}.{function}", name, seconds, job_id=name) for name in names]


def _next_batch(queue: Queue) -> str:
    """Waits for the start of a batch, and returns the names of its jobs."""
    found = queue.connection.blpop([CALLS], timeout=30)
    assert found, "no worker took a job"
    return str(as_text(found[1]))


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_waiting(queue: Queue) -> bool:
    """Whether a worker waits for a job. The server may have other workers, which use other databases."""
    database = str(queue.connection.get_connection_kwargs().get("db", 0))
    clients = [client for client in queue.connection.client_list() if client["db"] == database]
    return any(client["cmd"] in {"blmove", "blpop"} for client in clients)


def _first_signal_is_old(queue: Queue) -> bool:
    """Whether a worker noticed its first signal over a second ago. It publishes that time with its heartbeat."""
    dates = (worker.facts.get("shutdown_requested_date") for worker in live_workers(queue))
    return any(date and now() - utcparse(date) > timedelta(seconds=1) for date in dates)


def _signal_twice(queue: Queue, process: Process, number: int = signal.SIGTERM) -> None:
    """Sends the second signal late enough: RQ ignores one within a second after it noticed the first."""
    process.send_signal(number)
    _until(lambda: _first_signal_is_old(queue))
    process.send_signal(number)
    process.wait(20)


def _assert_nothing_is_left(queue: Queue) -> None:
    assert queue.intermediate_queue.get_job_ids() == []
    assert queue.started_job_registry.get_job_and_execution_ids() == []
    assert queue.connection.keys("rq:execution:*") == []
    assert live_workers(queue) == []


def test_first_signal_finishes_the_current_batch(queue: Queue, start_worker: StartWorker) -> None:
    queued = _enqueue(queue, "abcdef", 1.5)
    process = start_worker()
    assert _next_batch(queue) == "a b c d"
    process.terminate()
    assert process.wait(20) == 0
    assert [job.get_status().value for job in queued] == ["finished"] * 4 + ["queued"] * 2
    assert queue.job_ids == ["e", "f"]
    _assert_nothing_is_left(queue)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_requeues_unfinished_jobs(number: int, queue: Queue, start_worker: StartWorker) -> None:
    """The jobs are first in the queue again, in their old order, as if no worker had taken them."""
    queued = _enqueue(queue, "dcbaef", 300)
    process = start_worker()
    assert _next_batch(queue) == "d c b a"
    _signal_twice(queue, process, number)
    assert queue.job_ids == list("dcbaef")
    assert [job.get_status().value for job in queued] == ["queued"] * 6
    fields = queue.connection.hmget(queued[0].key, ["started_at", "worker_name", "deaths"])
    assert fields == [b"", b"", None], "stopping a worker does not count as a death"
    assert live_workers(queue) == []
    _assert_nothing_is_left(queue)


def test_second_signal_requeues_suspect_job(queue: Queue, start_worker: StartWorker) -> None:
    (job,) = _enqueue(queue, "a", 300)
    queue.connection.hset(job.key, "deaths", 1)
    process = start_worker()
    assert _next_batch(queue) == "a"
    _signal_twice(queue, process)
    assert (queue.job_ids, job.get_status().value) == (["a"], "queued")
    _assert_nothing_is_left(queue)


def test_second_signal_requeues_jobs_of_a_batch_that_raised(queue: Queue, start_worker: StartWorker) -> None:
    queued = _enqueue(queue, "cba", 300, "slow_alone")
    process = start_worker()
    assert [_next_batch(queue), _next_batch(queue)] == ["c b a", "c"]
    _signal_twice(queue, process)
    assert queue.job_ids == list("cba")
    assert [job.get_status().value for job in queued] == ["queued"] * 3
    _assert_nothing_is_left(queue)


def test_idle_worker_stops(queue: Queue, start_worker: StartWorker) -> None:
    process = start_worker()
    _until(lambda: _is_waiting(queue))
    process.terminate()
    assert process.wait(20) == 0
    _assert_nothing_is_left(queue)


def test_signal_ends_the_wait_for_a_fuller_batch(queue: Queue, start_worker: StartWorker) -> None:
    process = start_worker()
    _until(lambda: _is_waiting(queue))
    job = queue.enqueue(f"{HERE}.very_patient", 1)
    _until(lambda: queue.intermediate_queue.get_job_ids() == [job.id] and _is_waiting(queue))
    process.terminate()
    assert process.wait(20) == 0
    assert job.get_status().value == "finished"
    _assert_nothing_is_left(queue)


def test_job_that_exits_does_not_stop_the_worker(queue: Queue, start_worker: StartWorker) -> None:
    """The job fails. If it were put back, it would end one worker after the other."""
    process = start_worker()
    bad = queue.enqueue(f"{HERE}.all_or_nothing", "exit", 1, retry=Retry(max=1))
    _until(lambda: bad.get_status().value == "failed")
    good = queue.enqueue(f"{HERE}.all_or_nothing", "return", 1)
    _until(lambda: good.get_status().value == "finished")
    assert process.poll() is None
