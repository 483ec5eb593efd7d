from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rq import Queue

from predictions import queues
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction, upload
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db


def _get(client: Client, prediction: Prediction) -> Any:
    return client.get(f"/api/predictions/{prediction.id}")


def _cancel(client: Client, prediction: Prediction) -> Any:
    return client.post(f"/api/predictions/{prediction.id}/cancel")


def test_returns_an_answered_prediction(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    prediction = stored_prediction()
    with django_assert_num_queries(1):
        response = _get(client, prediction)
    assert response.status_code == 200
    body = response.json()
    assert (body["state"], body["prediction"], body["score"]) == ("done", "espresso", 0.9512)


def test_returns_the_error_of_a_failed_prediction(client: Client) -> None:
    body = _get(client, stored_prediction(state="failed", error_code="truncated", error="It is incomplete.")).json()
    assert (body["success"], body["state"]) == (False, "failed")
    assert body["error"] == {"code": "truncated", "detail": "It is incomplete."}
    assert body["labels"] == []


def test_unknown_predictions_are_404(client: Client) -> None:
    address = f"/api/predictions/{uuid4()}"
    for response in (client.get(address), client.delete(address), client.post(f"{address}/cancel")):
        assert (response.status_code, response.json()["code"]) == (404, "not-found")


@pytest.mark.django_db(transaction=True)
def test_only_the_sender_cancels_what_was_sent_with_a_cookie(queue: Queue) -> None:
    sender, stranger = Client(), Client()
    for client, seed in ((sender, 1), (stranger, 2)):
        client.post("/", {"file": upload(picture(seed=seed))})
    prediction = Prediction.objects.earliest("created_at")
    for client in (stranger, Client()):
        response = _cancel(client, prediction)
        assert (response.status_code, response.json()["code"]) == (403, "not-yours")
        assert _get(client, prediction).json()["state"] == "queued"
    for _ in range(2):
        assert (_cancel(sender, prediction).status_code, _get(sender, prediction).json()["state"]) == (200, "cancelled")


@pytest.mark.django_db(transaction=True)
def test_result_page_offers_cancelling_to_those_who_may(queue: Queue) -> None:
    sender = Client()
    sender.post("/", {"file": upload()})
    by_page, by_api = Prediction.objects.get(), stored_prediction(state="queued", source=Prediction.Source.API)
    for client, prediction, may in ((sender, by_page, True), (Client(), by_page, False), (Client(), by_api, True)):
        page = client.get(prediction.get_absolute_url()).text
        assert (f'data-cancel="/api/predictions/{prediction.id}/cancel"' in page) == may


@pytest.mark.django_db(transaction=True)
def test_cancels_a_queued_prediction(
    client: Client, queue: Queue, work_off: Callable[[], None], fake_classifier: FakeClassifier
) -> None:
    prediction = stored_prediction(state="queued")
    queues.enqueue(str(prediction.id))
    response = _cancel(client, prediction)
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    work_off()
    assert (_get(client, prediction).json()["state"], fake_classifier.batches) == ("cancelled", [])


def test_cancelling_twice_gives_the_same_answer(client: Client, queue: Queue) -> None:
    prediction = stored_prediction(state="queued")
    first, second = (_cancel(client, prediction) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()


@pytest.mark.parametrize("state", ["running", "done", "failed", "expired"])
def test_does_not_cancel_a_prediction_that_has_started(client: Client, state: str) -> None:
    prediction = stored_prediction(state=state)
    response = _cancel(client, prediction)
    assert (response.status_code, response.json()["code"]) == (409, "not-cancellable")
    assert f"is {state} and" in response.json()["detail"]
    prediction.refresh_from_db()
    assert prediction.state == state
