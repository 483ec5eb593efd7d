"""What the site reads of the queue."""

from __future__ import annotations

from uuid import uuid4

import pytest
from rq import Queue

from predictions import queues


def _queued(number: int) -> list[str]:
    ids = [str(uuid4()) for _ in range(number)]
    queues.enqueue(*ids)
    return ids


def test_position_counts_from_the_next_job(queue: Queue) -> None:
    ids = _queued(3)
    assert [queues.position(prediction_id) for prediction_id in ids] == [1, 2, 3]


def test_position_moves_up_when_a_worker_takes_a_job(queue: Queue) -> None:
    taken, next_one = _queued(2)
    queue.connection.lmove(queue.key, queue.intermediate_queue_key)
    assert (queues.position(taken), queues.position(next_one)) == (None, 1)


def test_prediction_without_a_job_has_no_position(queue: Queue) -> None:
    _queued(1)
    assert queues.position(uuid4()) is None


@pytest.mark.parametrize("value", ["text", "hash"])
def test_damaged_queue_has_no_positions(value: str, queue: Queue) -> None:
    if value == "text":
        queue.connection.set(queue.key, "not a list")
    else:
        queue.connection.hset(queue.key, "not", "a list")
    assert queues.position(uuid4()) is None


def test_unreachable_queue_has_no_positions(no_queue: None) -> None:
    assert queues.position(uuid4()) is None
