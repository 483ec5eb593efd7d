"""`DELETE /api/predictions/<uuid>`, and what other operations answer afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rq import Queue

from predictions import queues
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction, until_listening, upload

pytestmark = pytest.mark.django_db(transaction=True)


def _delete(client: Client, prediction: Prediction) -> Any:
    return client.delete(f"/api/predictions/{prediction.id}")


def _sent_by_api(**changes: Any) -> Prediction:
    return stored_prediction(source=Prediction.Source.API, **changes)


def test_deletes_a_picture_once_and_again(client: Client) -> None:
    prediction = _sent_by_api()
    for _ in range(2):
        response = _delete(client, prediction)
        assert (response.status_code, response.content) == (204, b"")
    response = client.get(f"/api/predictions/{prediction.id}")
    assert (response.status_code, response.json()["code"]) == (410, "deleted")
    assert response["Content-Type"] == "application/problem+json"


def test_other_operations_say_that_it_was_deleted(client: Client) -> None:
    prediction = _sent_by_api()
    _delete(client, prediction)
    statement = {"prediction": str(prediction.id), "verdict": "wrong"}
    for response in (
        client.post("/api/feedback", statement, content_type="application/json"),
        client.post(f"/api/predictions/{prediction.id}/cancel"),
    ):
        assert (response.status_code, response.json()["code"]) == (410, "deleted")


def test_cancels_a_queued_prediction(
    client: Client, queue: Queue, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    prediction = _sent_by_api(state="queued")
    queues.enqueue(str(prediction.id))
    assert _delete(client, prediction).status_code == 204
    work_off()
    assert fake_classifier.batches == []


def test_does_not_delete_what_a_visitor_has_sent_by_the_page(client: Client, queue: Queue) -> None:
    sender, stranger = Client(), Client()
    address = sender.post("/", {"file": upload()})["Location"]
    api = f"/api{address.rstrip('/')}"
    response = stranger.delete(api)
    assert (response.status_code, response.json()["code"]) == (403, "not-yours")
    assert stranger.get(api).status_code == 200
    assert sender.delete(api).status_code == 204


def test_picture_sent_by_api_with_a_visitors_cookie_is_theirs(queue: Queue) -> None:
    sender, stranger = Client(), Client()
    sender.post("/", {"file": upload()})
    body = sender.post("/api/predict", {"file": upload()}, headers={"Prefer": "respond-async"}).json()
    assert stranger.delete(f"/api/predictions/{body['id']}").status_code == 403
    assert sender.delete(f"/api/predictions/{body['id']}").status_code == 204


def test_request_that_waits_is_told_of_the_deletion(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_listening()
    enqueue = queues.enqueue

    def delete_once_queued(*prediction_ids: str, **options: Any) -> None:
        enqueue(*prediction_ids, **options)
        for prediction_id in prediction_ids:
            assert Client().delete(f"/api/predictions/{prediction_id}").status_code == 204

    monkeypatch.setattr(queues, "enqueue", delete_once_queued)
    response = client.post("/api/predict", {"file": upload()})
    assert (response.status_code, response.json()["code"]) == (410, "deleted")
