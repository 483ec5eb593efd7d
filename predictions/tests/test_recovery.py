"""Recovering: what the database has promised and the queue has forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rq import Queue
from rq.job import JobStatus

from predictions import queues, recovery
from predictions.models import Prediction
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db
AGES = timedelta(minutes=1)


def _old(seed: int = 0, *, age: timedelta = 2 * AGES, **changes: Any) -> Prediction:
    values = {"state": "queued", "created_at": timezone.now() - age, **changes}
    return stored_prediction(stored_image(picture(seed=seed)), **values)


def _recover() -> int:
    return recovery.predictions_recover(older_than=AGES)


def test_it_works(queue: Queue) -> None:
    lost, young, settled = _old(1), _old(2, age=timedelta(0)), _old(3, state="cancelled")
    running = _old(4, state="running")
    queues.enqueue(str(_old(5).id))  # has its job
    queued = set(queue.job_ids)
    assert _recover() == 2
    assert set(queue.job_ids) - queued == {str(lost.id), str(running.id)}
    assert {young.id, settled.id}.isdisjoint(UUID(job_id) for job_id in queue.job_ids)
    assert _recover() == 0


def _with_job(queue: Queue, status: JobStatus, **changes: Any) -> Prediction:
    """A prediction that waits, while its job is in this state and in no worker's reach."""
    prediction = _old(**changes)
    queues.enqueue(str(prediction.id))
    job = queue.fetch_job(str(prediction.id))
    assert job is not None
    queue.remove(job)
    job.set_status(status)
    return prediction


@pytest.mark.parametrize("status", [JobStatus.STOPPED, JobStatus.CANCELED])
def test_a_job_that_was_stopped_by_hand(queue: Queue, status: JobStatus) -> None:
    prediction = _with_job(queue, status)
    assert _recover() == 0
    prediction.refresh_from_db()
    assert (prediction.state, prediction.error_code) == ("failed", "classification-failed")


def test_a_job_that_failed_while_the_database_was_away(queue: Queue) -> None:
    prediction = _with_job(queue, JobStatus.FAILED)
    assert _recover() == 1
    assert queue.job_ids == [str(prediction.id)]


def test_a_job_that_fails_for_a_day(queue: Queue) -> None:
    prediction = _with_job(queue, JobStatus.FAILED, age=recovery.GIVE_UP_AFTER + AGES)
    assert _recover() == 0
    prediction.refresh_from_db()
    assert prediction.state == "failed"


def test_recovery_has_a_limit_and_takes_the_oldest(queue: Queue) -> None:
    newer, older = _old(1), _old(2, age=3 * AGES)
    assert recovery.predictions_recover(older_than=AGES, at_most=1) == 1
    assert queue.job_ids == [str(older.id)] != [str(newer.id)]


def test_queries_of_a_recovery(queue: Queue, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for seed in range(3):
        _old(seed)
    with django_assert_num_queries(1):
        _recover()


def test_recovery_without_a_queue(no_queue: None) -> None:
    _old()
    with pytest.raises(redis.RedisError):
        _recover()
