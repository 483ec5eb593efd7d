from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import OperationalError
from rq import Callback, Queue
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


def test_answers_a_queued_prediction(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    work_off()
    prediction.refresh_from_db()
    assert (prediction.state, prediction.label) == ("done", "espresso")


def test_retries_a_batch_that_failed(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    def once(images: list[bytes | Exception]) -> None:
        del fake_classifier.classify
        raise RuntimeError("transient")

    fake_classifier.classify = once  # type: ignore[assignment,method-assign]
    work_off()
    prediction.refresh_from_db()
    assert (prediction.state, prediction.error) == ("done", "")


def test_fails_after_the_last_attempt(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    fake_classifier.raises = RuntimeError("secret detail")
    work_off()
    prediction.refresh_from_db()
    assert len(fake_classifier.batches) == queues.ATTEMPTS
    assert (prediction.state, prediction.error_code) == ("failed", "classification-failed")
    assert "RuntimeError" in prediction.error and "secret" not in prediction.error


@pytest.mark.parametrize("arguments", [(), ("no UUID",), ("a", "b"), (None,), (5,)], ids=str)
def test_job_with_damaged_arguments_fails_alone(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier, arguments: tuple[object, ...]
) -> None:
    others = [stored_prediction(state="queued") for _ in range(2)]
    queues.enqueue(*(str(other.id) for other in others))
    data = zlib.compress(json.dumps(["predictions.jobs.classify", None, list(arguments), {}]).encode())
    queues.connection().hset(Job.key_for(str(prediction.id)), "data", data)
    work_off()
    states = dict(Prediction.objects.values_list("id", "state"))
    assert states == {prediction.id: "failed"} | {other.id: "done" for other in others}


def test_job_whose_id_is_no_uuid_stops_no_worker(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    queues.queue().enqueue(
        "predictions.jobs.classify", "no UUID", job_id="no-uuid", on_failure=Callback("predictions.jobs.record_failure")
    )
    work_off()
    prediction.refresh_from_db()
    assert prediction.state == "done"


def test_job_of_a_deleted_prediction_ends(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    prediction_id = str(prediction.id)
    prediction.delete()
    work_off()
    assert (queues.job_statuses([prediction_id]), fake_classifier.batches) == ({prediction_id: "finished"}, [])


def test_a_prediction_survives_a_database_that_is_away(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    """The database is away during all attempts and back afterwards."""
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


def test_ignores_a_job_without_a_row(
    prediction: Prediction, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    prediction.delete()
    work_off()
    assert fake_classifier.batches == []


def test_the_job_holds_only_the_prediction_id(prediction: Prediction, queue: Queue) -> None:
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
    assert queue.connection.ttl(Job.key_for(str(prediction.id))) == -1, "a queued job does not expire"
