"""`GET /api/predictions`: several predictions at once."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rq import Queue

from predictions import answering, queues
from predictions.api.many import MOST
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction, until_listening

pytestmark = pytest.mark.django_db(transaction=True)


def _get(client: Client, *ids: UUID | str, **headers: str) -> Any:
    return client.get("/api/predictions", {"id": [str(one) for one in ids]}, headers=headers)


def test_returns_the_predictions_in_the_order_of_the_ids(
    client: Client, queue: Queue, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    predictions = [stored_prediction(state=state) for state in ("done", "queued", "running")]
    with django_assert_num_queries(1):
        body = _get(client, *(one.id for one in reversed(predictions))).json()
    assert [one["state"] for one in body["predictions"]] == ["running", "queued", "done"]
    assert body["predictions"][2]["prediction"] == "espresso"


def test_says_how_many_pictures_are_before_the_first_queued_one(client: Client, queue: Queue) -> None:
    predictions = [stored_prediction(state="queued") for _number in range(3)]
    queues.enqueue(*(str(one.id) for one in predictions))
    assert _get(client, stored_prediction().id, predictions[2].id, predictions[1].id).json()["ahead"] == 2
    assert _get(client, stored_prediction().id).json()["ahead"] is None


def test_picture_that_a_worker_has_just_taken_is_next(client: Client, queue: Queue) -> None:
    taken, following = (stored_prediction(state="queued") for _number in range(2))
    queues.enqueue(str(following.id))
    assert _get(client, taken.id, following.id).json()["ahead"] == 0


def test_leaves_out_unknown_and_deleted_predictions(client: Client, queue: Queue) -> None:
    kept, deleted = stored_prediction(), stored_prediction()
    Prediction.objects.filter(pk=deleted.pk).update(erased_at=timezone.now())
    body = _get(client, uuid4(), deleted.id, kept.id, kept.id).json()
    assert [one["id"] for one in body["predictions"]] == [str(kept.id)]


def test_waits_for_the_first_that_waits(client: Client, queue: Queue) -> None:
    done, waiting = stored_prediction(), stored_prediction(state="queued")
    until_listening()

    def answer() -> None:
        answering.predictions_answer([waiting.id], FakeClassifier())  # type: ignore[arg-type]
        connections.close_all()

    timer = threading.Timer(0.2, answer)
    timer.start()
    body = _get(client, done.id, waiting.id, Prefer="wait=20").json()
    timer.join()
    assert [one["state"] for one in body["predictions"]] == ["done", "done"]


@pytest.mark.parametrize("ids", [[], ["1"], [str(uuid4())] * (MOST + 1)], ids=["none", "no uuid", "too many"])
def test_rejects_ids_that_are_not_valid(client: Client, ids: list[str]) -> None:
    response = _get(client, *ids)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
