from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from rq import Queue

from conftest import ThreadWorker
from predictions import queues
from predictions.api.prefer import wait_seconds
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, upload
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db(transaction=True)


def _post(client: Client, prefer: str = "", **files: object) -> Any:
    return client.post("/api/predict", files or {"file": upload()}, headers={"Prefer": prefer} if prefer else {})


def test_answers_with_the_prediction(client: Client, worker: FakeClassifier) -> None:
    response = _post(client)
    prediction = Prediction.objects.get()
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "prediction": "espresso",
        "label_id": None,  # no such version is installed
        "score": 0.9512,
        "id": str(prediction.id),
        "state": "done",
        "labels": [
            {"label": "espresso", "label_id": None, "score": 0.9512},
            {"label": "cup", "label_id": None, "score": 0.03},
            {"label": "coffee_mug", "label_id": None, "score": 0.01},
        ],
        "model": "fake-net@1",
        "timings": {
            "queue_ms": prediction.queue_ms,
            "decode_ms": 3.0,
            "compute_ms": 4.0,
            "total_ms": prediction.total_ms,
        },
        "error": None,
        "links": {
            "self": f"http://testserver/api/predictions/{prediction.id}",
            "page": f"http://testserver/predictions/{prediction.id}/",
            "picture": f"http://testserver/predictions/{prediction.id}/picture",
            "feedback": "http://testserver/api/feedback",
        },
    }
    assert prediction.source == "api"


def test_the_real_model_classifies_photos(
    client: Client, queue: Queue, models: Repository, coffee: bytes, chelsea: bytes
) -> None:
    worker = ThreadWorker()
    worker.start()
    try:
        answer = _post(client, file=SimpleUploadedFile("a.jpg", coffee)).json()
        assert answer["prediction"] == "espresso" and answer["score"] > 0.9
        assert answer["model"] == str(models.active())
        assert len(answer["labels"]) == 5 and answer["labels"][0]["label_id"] == answer["label_id"] == "n07920052"
        cat = _post(client, file=SimpleUploadedFile("b.jpg", chelsea)).json()
        assert cat["prediction"] in {"tabby", "tiger_cat", "Egyptian_cat"}
    finally:
        worker.leave()


def test_respond_async_answers_202_at_once(client: Client, queue: Queue) -> None:
    response = _post(client, "respond-async")
    body = response.json()
    assert (response.status_code, body["state"], body["success"]) == (202, "queued", False)
    assert body["prediction"] is body["score"] is body["model"] is body["error"] is None
    assert response["Location"] == body["links"]["self"]
    assert client.get(response["Location"]).json() == body


def test_answers_202_after_the_wait(client: Client, queue: Queue, settings: Settings) -> None:
    settings.PREDICT_WAIT_SECONDS = 0.05
    response = _post(client)
    assert (response.status_code, response.json()["state"]) == (202, "queued")
    assert Prediction.objects.get().expires_at is None, "the client can fetch the answer later"


def test_a_failed_classification_is_a_500_without_details(client: Client, worker: FakeClassifier) -> None:
    worker.raises = RuntimeError("secret detail")
    response = _post(client)
    assert (response.status_code, response.json()["code"]) == (500, "classification-failed")
    assert "secret detail" not in response.text


def test_an_unreachable_queue_is_a_503(client: Client, no_queue: None) -> None:
    response = _post(client)
    assert (response.status_code, response.json()["code"]) == (503, "queue-unavailable")
    assert response["Retry-After"] == "5"
    assert response["Content-Type"] == "application/problem+json"


def test_no_csrf_token_is_needed(queue: Queue) -> None:
    assert _post(Client(enforce_csrf_checks=True), "respond-async").status_code == 202


def test_number_of_queries_of_a_new_and_a_known_picture(
    client: Client, queue: Queue, fake_classifier: FakeClassifier, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(5):  # begin; look up the image; insert it; insert the prediction; commit
        _post(client, "respond-async")
    with django_assert_num_queries(5):  # begin; look up the image; look up an answer; insert the prediction; commit
        _post(client, "respond-async")
    assert len(queue) == 2


def test_a_known_picture_is_not_classified_again(client: Client, worker: FakeClassifier) -> None:
    """Each request still gets its own prediction."""
    first, second = _post(client).json(), _post(client).json()
    assert worker.batches == [1]
    assert first["id"] != second["id"]
    assert (second["prediction"], second["labels"], second["model"]) == ("espresso", first["labels"], "fake-net@1")
    assert second["timings"]["compute_ms"] is None
    assert client.get(second["links"]["self"]).json() == second


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("", 20),
        ("respond-async", 0),
        ("Respond-Async, wait=10", 0),
        ("wait=3", 3),
        ('wait = "3"', 3),
        ("handling=lenient; wait=3", 3),
        ("wait=100", 20),
        ("wait=0", 0),
        ("wait=-1", 20),
        ("wait=1e9", 20),
        ("wait=9999999999999", 20),
        ("wait=soon", 20),
    ],
)
def test_the_wait_that_a_prefer_header_asks_for(prefer: str, seconds: float, settings: Settings) -> None:
    settings.PREDICT_WAIT_SECONDS = 20
    assert wait_seconds(prefer) == seconds


def test_the_job_has_the_id_of_the_prediction(client: Client, queue: Queue) -> None:
    prediction_id = _post(client, "respond-async").json()["id"]
    assert queues.job_statuses([prediction_id, "other"]) == {prediction_id: "queued", "other": None}
