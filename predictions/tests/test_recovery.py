"""Recovery: predictions that wait in the database without a job in the queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rq import Queue
from rq.job import Job, JobStatus

from predictions import queues, recovery
from predictions.models import Prediction
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def _old(seed: int = 0, *, age: timedelta = 2 * MINUTE, **changes: Any) -> Prediction:
    values = {"state": "queued", "created_at": timezone.now() - age, **changes}
    return stored_prediction(stored_image(picture(seed=seed)), **values)


def _recover() -> int:
    return recovery.predictions_recover(older_than=MINUTE)


def test_queues_lost_predictions_again(queue: Queue) -> None:
    lost, young, settled = _old(1), _old(2, age=timedelta(0)), _old(3, state="cancelled")
    running = _old(4, state="running")
    queues.enqueue(str(_old(5).id))  # not lost
    queued = set(queue.job_ids)
    assert _recover() == 2
    assert set(queue.job_ids) - queued == {str(lost.id), str(running.id)}
    assert {young.id, settled.id}.isdisjoint(UUID(job_id) for job_id in queue.job_ids)
    assert _recover() == 0


def _with_job(queue: Queue, status: JobStatus, **changes: Any) -> Prediction:
    """A waiting prediction whose job has this status and is not in the queue."""
    prediction = _old(**changes)
    queues.enqueue(str(prediction.id))
    job = queue.fetch_job(str(prediction.id))
    assert job is not None
    queue.remove(job)
    job.set_status(status)
    return prediction


@pytest.mark.parametrize("status", [JobStatus.STOPPED, JobStatus.CANCELED])
def test_fails_predictions_whose_job_was_stopped_or_cancelled(queue: Queue, status: JobStatus) -> None:
    prediction = _with_job(queue, status)
    assert _recover() == 0
    prediction.refresh_from_db()
    assert (prediction.state, prediction.error_code) == ("failed", "classification-failed")


def test_queues_again_after_a_failure_that_was_not_recorded(queue: Queue) -> None:
    prediction = _with_job(queue, JobStatus.FAILED)
    assert _recover() == 1
    assert queue.job_ids == [str(prediction.id)]


def test_gives_up_on_a_job_that_keeps_failing_for_a_day(queue: Queue) -> None:
    prediction = _with_job(queue, JobStatus.FAILED, age=recovery.GIVE_UP_AFTER + MINUTE)
    assert _recover() == 0
    prediction.refresh_from_db()
    assert prediction.state == "failed"


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.STARTED])
def test_queues_again_a_job_that_is_in_no_list(queue: Queue, status: JobStatus) -> None:
    prediction = _with_job(queue, status)
    assert _recover() == 1
    assert queue.job_ids == [str(prediction.id)]


@pytest.mark.parametrize("place", ["queue", "taken", "started"])
def test_leaves_jobs_in_progress_alone(queue: Queue, place: str) -> None:
    prediction = _old()
    queues.enqueue(str(prediction.id))
    if place != "queue":
        queue.connection.lmove(queue.key, queue.intermediate_queue_key)
    if place == "started":
        queue.connection.delete(queue.intermediate_queue_key)
        queue.connection.hset(Job.key_for(str(prediction.id)), "status", "started")
        queue.connection.zadd(queue.started_job_registry.key, {f"{prediction.id}:execution": 2**40})
    assert _recover() == 0


def test_does_not_search_a_very_long_queue(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _old(1), _old(2)
    queues.enqueue(str(first.id), str(second.id))
    monkeypatch.setattr(queues, "SEARCHED_JOBS", 1)
    assert _recover() == 0


def _unknown_status(connection: Any, key: str) -> None:
    connection.hset(key, "status", "levitating")


def _no_status(connection: Any, key: str) -> None:
    connection.hdel(key, "status")


def _binary_status(connection: Any, key: str) -> None:
    connection.hset(key, "status", b"\xff")


def _no_hash(connection: Any, key: str) -> None:
    connection.delete(key)
    connection.set(key, "text")


@pytest.mark.parametrize("damage", [_unknown_status, _no_status, _binary_status, _no_hash])
def test_queues_again_a_prediction_whose_job_is_damaged(queue: Queue, damage: Callable[[Any, str], None]) -> None:
    prediction, good = _with_job(queue, JobStatus.QUEUED), _old(9)
    queues.enqueue(str(good.id))
    damage(queue.connection, Job.key_for(str(prediction.id)))
    assert _recover() == 1
    assert set(queue.job_ids) == {str(prediction.id), str(good.id)}
    assert queue.fetch_job(str(prediction.id)) is not None
    assert _recover() == 0


def test_recovers_the_oldest_first_up_to_a_limit(queue: Queue) -> None:
    newer, older = _old(1), _old(2, age=3 * MINUTE)
    assert recovery.predictions_recover(older_than=MINUTE, at_most=1) == 1
    assert queue.job_ids == [str(older.id)] != [str(newer.id)]


def test_takes_one_query(queue: Queue, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for seed in range(3):
        _old(seed)
    with django_assert_num_queries(1):
        _recover()


def test_raises_if_the_queue_cannot_be_reached(no_queue: None) -> None:
    _old()
    with pytest.raises(redis.RedisError):
        _recover()
