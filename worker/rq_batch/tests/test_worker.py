"""Which jobs a batch worker takes from the queue and runs in one call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import redis
from rq import Queue
from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer
from rq.utils import now, utcformat
from rq.worker_pool import run_worker

from worker.rq_batch import BatchWorker, taking
from worker.rq_batch.bookkeeping import Bookkeeper, TakenJob
from worker.rq_batch.tests.batch_jobs import HERE, calls


def _enqueue(queue: Queue, function: str, arguments: Sequence[object], **options: Any) -> list[Job]:
    return [queue.enqueue(f"{HERE}.{function}", argument, **options) for argument in arguments]


def _work(*queues: Queue, **options: Any) -> BatchWorker:
    worker = BatchWorker(list(queues))
    worker.work(burst=True, **options)
    for queue in queues:
        assert queue.intermediate_queue.get_job_ids() == []
        assert queue.started_job_registry.get_job_and_execution_ids() == []
    assert worker.executions == {}
    return worker


def _statuses(jobs: Sequence[Job]) -> str:
    return " ".join(job.get_status().value for job in jobs)


# --- Taking ---


def test_queued_jobs_run_in_one_call(queue: Queue) -> None:
    queued = _enqueue(queue, "numbers", range(10))
    _work(queue)
    assert calls == [list(range(10))]
    assert [job.return_value() for job in queued] == [number * number for number in range(10)]


def test_batch_has_at_most_max_size_jobs(queue: Queue) -> None:
    _enqueue(queue, "fours", range(10))
    _work(queue)
    assert calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_another_function_closes_the_batch(queue: Queue) -> None:
    _enqueue(queue, "numbers", [1, 2])
    _enqueue(queue, "fours", [3, 4, 5, 6, 7])
    _enqueue(queue, "numbers", [8])
    _work(queue)
    assert calls == [[1, 2], [3, 4, 5, 6], [7], [8]]


def test_job_that_closed_a_batch_stays_first_in_the_queue(queue: Queue) -> None:
    _enqueue(queue, "numbers", [1, 2])
    others = _enqueue(queue, "fours", [3, 4]) + _enqueue(queue, "numbers", [5])
    _work(queue, max_jobs=2)
    assert (calls, queue.job_ids) == ([[1, 2]], [job.id for job in others])
    assert _statuses(others) == "queued queued queued"


def test_ordinary_job_closes_the_batch(queue: Queue) -> None:
    _enqueue(queue, "numbers", [1])
    ordinary = queue.enqueue(f"{HERE}.plain_with_name", name="you")
    _enqueue(queue, "numbers", [2])
    _work(queue)
    assert (calls, ordinary.return_value()) == ([[1], [2]], "hello you")


@pytest.mark.parametrize(("most", "expected"), [(1, [[0]]), (6, [[0, 1, 2, 3], [4, 5]])])
def test_max_jobs_cuts_the_last_batch(queue: Queue, most: int, expected: list[list[int]]) -> None:
    queued = _enqueue(queue, "fours", range(10))
    _work(queue, max_jobs=most)
    assert calls == expected
    assert queue.job_ids == [job.id for job in queued[most:]]


def test_queues_are_worked_in_their_order(queue: Queue) -> None:
    second = Queue("second", connection=queue.connection, serializer=JSONSerializer)
    _enqueue(second, "numbers", [5, 6])
    _enqueue(queue, "numbers", [1, 2])
    _work(queue, second)
    assert calls == [[1, 2], [5, 6]]


def test_skips_deleted_job(queue: Queue) -> None:
    first, *_rest = _enqueue(queue, "numbers", [1, 2, 3])
    queue.connection.delete(first.key)
    _work(queue)
    assert calls == [[2, 3]]


@pytest.mark.parametrize("fields", [{"ttl": "soon"}, {"deaths": "some"}, {"created_at": "once"}])
def test_drops_unreadable_jobs(queue: Queue, fields: dict[Any, Any]) -> None:
    """It drops all of them, at any position in the queue."""
    queued = _enqueue(queue, "numbers", range(6))
    for number in [0, 1, 2, 4]:
        queue.connection.hset(queued[number].key, mapping=fields)
    _work(queue)
    assert sum(calls, []) == [3, 5]


@pytest.mark.parametrize("by_name", [True, False])
def test_serialises_as_json_whatever_the_command_line_says(by_name: bool, queue: Queue) -> None:
    pickled = Queue(queue.name, connection=queue.connection, serializer=DefaultSerializer)
    given = Queue(queue.name, connection=queue.connection, serializer=DefaultSerializer)
    worker = BatchWorker([queue.name if by_name else given], connection=queue.connection, serializer=DefaultSerializer)
    assert worker.serializer is worker.queues[0].serializer is JSONSerializer
    assert given.serializer is DefaultSerializer, "a given queue is the caller's"
    bad, good = [each.enqueue(f"{HERE}.plain_act", "return", 1) for each in (pickled, queue)]
    worker.work(burst=True)
    assert _statuses([bad, good]) == "failed finished"


@pytest.mark.parametrize("serializer", [DefaultSerializer, JSONSerializer])
def test_worker_of_a_pool_serialises_as_json(serializer: Any, queue: Queue) -> None:
    """A pool gives its workers `Queue` objects, which it makes without a serializer."""
    pool, job = queue.connection.connection_pool, queue.enqueue(f"{HERE}.plain_act", "return", 1)
    run_worker(
        "pooled",
        [queue.name],
        redis.Redis,
        pool.connection_class,
        pool.connection_kwargs,
        worker_class=BatchWorker,
        serializer=serializer,
        logging_level="WARNING",
    )
    assert job.get_status().value == "finished"


def test_drops_job_cancelled_before_its_start(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queued, dropped, take = _enqueue(queue, "numbers", [1, 2, 3]), [], Bookkeeper.take

    def take_and_cancel(self: Bookkeeper, *args: Any, **options: Any) -> list[TakenJob]:
        taken = take(self, *args, **options)
        for member in taken:
            if member.job.args[0] == 2:
                Job.fetch(member.job.id, queue.connection, queue.serializer).cancel()
        return taken

    monkeypatch.setattr(Bookkeeper, "take", take_and_cancel)
    monkeypatch.setattr(BatchWorker, "handle_dropped", lambda worker, found: dropped.extend(found))
    _work(queue)
    assert (calls, [job.id for job in dropped]) == ([[1, 3]], [queued[1].id])
    assert _statuses(queued) == "finished canceled finished"


@pytest.mark.parametrize("function", ["numbers", "failing"])
def test_round_trips_do_not_grow_with_the_batch(queue: Queue, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = [0]
    send, thread = redis.connection.AbstractConnection.send_packed_command, threading.current_thread()

    def counted(*args: Any, **options: Any) -> Any:
        sent[0] += threading.current_thread() is thread  # not those of the heartbeat
        return send(*args, **options)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counted)

    def round_trips(size: int) -> int:
        _enqueue(queue, function, range(size))
        sent[0] = 0
        _work(queue)
        assert len(calls[-1]) == size
        return sent[0]

    round_trips(1)  # loads the scripts into the server
    few, many = round_trips(2), round_trips(30)
    assert abs(few - many) <= 1, "one more asks, once a second, whether workers are suspended"


# --- Waiting for more ---


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("age", "expected"), [(0, 1.5), (-3600, 1.5), (1, 0.5), (60, 0)])
def test_waits_until_the_oldest_job_is_max_wait_old(
    queue: Queue, age: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never waits longer than `max_wait`, even if the wall clock was set back meanwhile."""
    (job,), clock = _enqueue(queue, "patient", [1]), Clock()
    queue.connection.hset(job.key, "enqueued_at", utcformat(now() - timedelta(seconds=age)))

    def time_out(source: str, target: str, timeout: float) -> None:
        assert timeout > 0, "0 means for ever"
        clock.seconds += timeout

    monkeypatch.setattr(taking, "time", clock)
    monkeypatch.setattr(queue.connection, "blmove", time_out)
    _work(queue)
    assert calls == [[1]]
    assert clock.seconds - 100 == pytest.approx(expected, abs=0.3)


@pytest.fixture
def meanwhile(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Takes functions, and calls the next one each time a worker waits. The worker must not wait more often."""

    def arrange(*acts: Callable[[], object]) -> None:
        real, pending = queue.connection.blmove, list(acts)

        def blmove(*args: Any) -> Any:
            assert pending, "the worker has no reason to wait"
            pending.pop(0)()
            return real(*args)

        monkeypatch.setattr(queue.connection, "blmove", blmove)

    return arrange


def test_jobs_queued_during_the_wait_join_the_batch(queue: Queue, meanwhile: Callable[..., None]) -> None:
    _enqueue(queue, "very_patient", [1])
    meanwhile(lambda: _enqueue(queue, "very_patient", [2, 3, 4]))
    _work(queue, max_jobs=3)
    assert (calls, len(queue)) == ([[1, 2, 3]], 1)


def test_another_function_ends_the_wait(queue: Queue, meanwhile: Callable[..., None]) -> None:
    _enqueue(queue, "very_patient", [1])
    meanwhile(lambda: _enqueue(queue, "numbers", [2]))
    _work(queue)
    assert calls == [[1], [2]]


def test_does_not_wait_if_another_function_is_queued(queue: Queue, meanwhile: Callable[..., None]) -> None:
    meanwhile()
    _enqueue(queue, "very_patient", [1])
    _enqueue(queue, "numbers", [2])
    _work(queue)
    assert calls == [[1], [2]]
