"""No more requests wait than leave threads for everybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from rq import Queue

from predictions import announcements, answering, submission
from predictions.admission import backpressure
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, Unreadable, stored_prediction, upload
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)
PLACES = 2


@pytest.fixture(autouse=True)
def few_places(settings: Settings) -> None:
    settings.WEB_THREADS = backpressure.FREE_THREADS + PLACES


def _send(seed: int, address: str = "/api/predict", prefer: str = "", *, unreadable: bool = False) -> Any:
    extra: dict[str, Any] = {"wsgi.input": Unreadable()} if unreadable else {}
    file = upload(picture(seed=seed))
    return Client().post(address, {"file": file}, headers={"Prefer": prefer} if prefer else {}, **extra)


@pytest.fixture
def full(queue: Queue) -> Iterator[list[Any]]:
    """All places are taken by requests that wait; their responses, once they are answered."""
    responses: list[Any] = []

    def wait(seed: int) -> None:
        responses.append(_send(seed))
        connection.close()

    threads = [threading.Thread(target=wait, args=(seed,)) for seed in range(PLACES)]
    for thread in threads:
        thread.start()
    while len(announcements.listener._waiting) < PLACES or Prediction.objects.count() < PLACES:
        threading.Event().wait(0.01)
    yield responses
    _answer()
    for thread in threads:
        thread.join()
    assert [response.status_code for response in responses] == [200] * PLACES
    assert backpressure.waiting_room.occupied == 0


def _answer() -> None:
    ids = list(Prediction.objects.waiting().values_list("pk", flat=True))
    answering.predictions_answer(ids, FakeClassifier())  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["/api/predict", "/predict"])
def test_one_too_many(full: list[Any], address: str, tmp_path: Path) -> None:
    files = len(list(tmp_path.rglob("*.png")))
    response = _send(7, address, unreadable=True)
    assert (response.status_code, response["Retry-After"], full) == (503, "1", [])
    if address == "/api/predict":
        assert response.json()["code"] == "busy"
        assert response.json()["detail"] == "Too many requests wait already. Please try again in 1 s."
    else:
        assert response.json() == {"success": False, "prediction": None, "score": None}
    assert Prediction.objects.count() == PLACES
    assert len(list(tmp_path.rglob("*.png"))) == files, "the picture was not stored"


def test_everything_else_goes_on(full: list[Any], client: Client) -> None:
    assert client.get("/healthz").status_code == client.get("/").status_code == 200
    accepted = _send(7, prefer="respond-async")
    assert accepted.status_code == 202
    assert client.get(accepted.json()["links"]["self"]).json()["state"] == "queued"
    sent = _send(8, "/")
    assert sent.status_code == 303
    assert '<h1 id="answer">Queued</h1>' in client.get(sent["Location"]).text
    assert full == []


def test_when_one_has_left(queue: Queue, worker: FakeClassifier) -> None:
    for seed in range(PLACES + 1):
        assert _send(seed).status_code == 200


@pytest.mark.parametrize("error", [RequestRejected("code", "message"), RuntimeError(), KeyboardInterrupt()])
def test_a_place_is_given_back_whatever_happens(error: BaseException) -> None:
    with pytest.raises(type(error)), backpressure.place_to_wait(1):
        assert backpressure.waiting_room.occupied == 1
        raise error
    assert backpressure.waiting_room.occupied == 0


def test_a_refused_picture_gives_its_place_back(queue: Queue) -> None:
    for _ in range(PLACES + 1):
        assert Client().post("/api/predict", {"file": upload(b"text")}).status_code == 415
    assert backpressure.waiting_room.occupied == 0


def test_who_is_refused_takes_no_place() -> None:
    with backpressure.place_to_wait(1), backpressure.place_to_wait(1):
        for _ in range(2):
            with pytest.raises(RequestRejected), backpressure.place_to_wait(1):
                raise AssertionError("there is no place")
        with backpressure.place_to_wait(0):
            assert backpressure.waiting_room.occupied == PLACES
    assert backpressure.waiting_room.occupied == 0


def test_when_it_will_be_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure.load, "rate", 0.5)
    with (
        backpressure.place_to_wait(1),
        backpressure.place_to_wait(1),
        pytest.raises(RequestRejected) as caught,
        backpressure.place_to_wait(1),
    ):
        raise AssertionError("there is no place")
    assert caught.value.headers == {"Retry-After": "2"}  # one place is free every other second


def test_a_page_without_a_place_shows_what_there_is(
    queue: Queue, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    prediction = stored_prediction(state="queued")
    with backpressure.place_to_wait(1), backpressure.place_to_wait(1), django_assert_num_queries(3):
        assert submission.prediction_wait(prediction.id, 600).state == "queued"
        Prediction.objects.update(state="running")
        assert submission.prediction_wait(prediction.id, 600).state == "running"
