from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from rq import Queue
from rq.job import Job

from predictions import queues, recovery
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prediction(queue: Queue) -> Prediction:
    prediction = stored_prediction(state="queued")
    queues.enqueue(str(prediction.id))
    return prediction


def test_it_works(prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier) -> None:
    work_off()
    prediction.refresh_from_db()
    assert (prediction.state, prediction.label) == ("done", "espresso")


def test_a_second_try(prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier) -> None:
    """A batch that fails once is tried again, and nobody notices."""

    def once(images: list[bytes | Exception]) -> None:
        del fake_classifier.classify
        raise RuntimeError("bad luck")

    fake_classifier.classify = once  # type: ignore[assignment,method-assign]
    work_off()
    prediction.refresh_from_db()
    assert (prediction.state, prediction.error) == ("done", "")


def test_the_last_try(prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier) -> None:
    fake_classifier.raises = RuntimeError("secret detail")
    work_off()
    prediction.refresh_from_db()
    assert len(fake_classifier.batches) == queues.ATTEMPTS
    assert (prediction.state, prediction.error_code) == ("failed", "classification-failed")
    assert "RuntimeError" in prediction.error and "secret" not in prediction.error


def test_no_database_is_no_fault_of_the_picture(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    """It is away for all tries and back for what is written after the last one."""
    fake_classifier.raises = OperationalError("terminating connection due to administrator command")
    work_off()
    prediction.refresh_from_db()
    assert len(fake_classifier.batches) == queues.ATTEMPTS
    assert prediction.is_waiting
    fake_classifier.raises = None
    assert recovery.predictions_recover(older_than=timedelta(0)) == 1
    work_off()
    prediction.refresh_from_db()
    assert (prediction.state, prediction.label) == ("done", "espresso")


def test_the_row_is_gone(prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier) -> None:
    prediction.delete()
    work_off()
    assert fake_classifier.batches == []


def test_the_queue_holds_the_id_and_nothing_else(prediction: Prediction, queue: Queue) -> None:
    fields: dict[bytes, bytes] = queue.connection.hgetall(Job.key_for(str(prediction.id)))  # type: ignore[assignment]
    stored = {name.decode(): value for name, value in fields.items()}
    assert json.loads(zlib.decompress(stored.pop("data"))) == [
        "predictions.jobs.classify",
        None,
        [str(prediction.id)],
        {},
    ]
    for name, value in stored.items():
        assert not value.startswith(b"\x80"), f"{name} is a pickle"
        value.decode("ascii")
    assert sum(map(len, stored.values())) < 1500
    assert queue.connection.ttl(Job.key_for(str(prediction.id))) == -1, "a job that waits does not run out"
