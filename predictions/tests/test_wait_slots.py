"""The number of requests that wait is bounded, so that threads stay free for all others."""

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
SLOTS = 2


@pytest.fixture(autouse=True)
def few_slots(settings: Settings) -> None:
    settings.WEB_THREADS = backpressure.FREE_THREADS + SLOTS
    settings.QUEUE_MAX_WAITING_PER_CLIENT = 0  # all requests come from one client


def _send(seed: int, address: str = "/api/predict", prefer: str = "", *, unreadable: bool = False) -> Any:
    extra: dict[str, Any] = {"wsgi.input": Unreadable()} if unreadable else {}
    file = upload(picture(seed=seed))
    return Client().post(address, {"file": file}, headers={"Prefer": prefer} if prefer else {}, **extra)


@pytest.fixture
def exhausted(queue: Queue) -> Iterator[list[Any]]:
    """All slots are held by waiting requests. Yields the list that gets their responses once they are answered."""
    responses: list[Any] = []

    def wait(seed: int) -> None:
        responses.append(_send(seed))
        connection.close()

    threads = [threading.Thread(target=wait, args=(seed,)) for seed in range(SLOTS)]
    for thread in threads:
        thread.start()
    while len(announcements.listener._waiting) < SLOTS or Prediction.objects.count() < SLOTS:
        threading.Event().wait(0.01)
    yield responses
    _answer()
    for thread in threads:
        thread.join()
    assert [response.status_code for response in responses] == [200] * SLOTS
    assert backpressure.wait_slots.in_use == 0


def _answer() -> None:
    ids = list(Prediction.objects.waiting().values_list("pk", flat=True))
    answering.predictions_answer(ids, FakeClassifier())  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["/api/predict", "/predict"])
def test_rejects_a_request_that_would_wait(exhausted: list[Any], address: str, tmp_path: Path) -> None:
    files = len(list(tmp_path.rglob("*.png")))
    response = _send(7, address, unreadable=True)
    assert (response.status_code, response["Retry-After"], exhausted) == (503, "1", [])
    if address == "/api/predict":
        assert response.json()["code"] == "busy"
        assert response.json()["detail"] == "Too many requests are waiting. Please try again in 1 s."
    else:
        assert response.json() == {"success": False, "prediction": None, "score": None}
    assert Prediction.objects.count() == SLOTS
    assert len(list(tmp_path.rglob("*.png"))) == files, "the picture was not stored"


def test_admits_requests_that_do_not_wait(exhausted: list[Any], client: Client) -> None:
    assert client.get("/healthz").status_code == client.get("/").status_code == 200
    accepted = _send(7, prefer="respond-async")
    assert accepted.status_code == 202
    assert client.get(accepted.json()["links"]["self"]).json()["state"] == "queued"
    sent = _send(8, "/")
    assert sent.status_code == 303
    assert 'data-part="state">Waiting</h1>' in client.get(sent["Location"]).text
    assert exhausted == []


def test_a_finished_request_releases_its_slot(queue: Queue, worker: FakeClassifier) -> None:
    for seed in range(SLOTS + 1):
        assert _send(seed).status_code == 200


@pytest.mark.parametrize("error", [RequestRejected("code", "message"), RuntimeError(), KeyboardInterrupt()])
def test_an_exception_releases_the_slot(error: BaseException) -> None:
    with pytest.raises(type(error)), backpressure.hold_wait_slot(1):
        assert backpressure.wait_slots.in_use == 1
        raise error
    assert backpressure.wait_slots.in_use == 0


def test_a_rejected_picture_releases_its_slot(queue: Queue) -> None:
    for _ in range(SLOTS + 1):
        assert Client().post("/api/predict", {"file": upload(b"text")}).status_code == 415
    assert backpressure.wait_slots.in_use == 0


def test_a_rejected_request_holds_no_slot() -> None:
    with backpressure.hold_wait_slot(1), backpressure.hold_wait_slot(1):
        for _ in range(2):
            with pytest.raises(RequestRejected), backpressure.hold_wait_slot(1):
                raise AssertionError("no slot was free")
        with backpressure.hold_wait_slot(0):
            assert backpressure.wait_slots.in_use == SLOTS
    assert backpressure.wait_slots.in_use == 0


def test_retry_after_follows_the_rate_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure.load, "rate", 0.5)
    with (
        backpressure.hold_wait_slot(1),
        backpressure.hold_wait_slot(1),
        pytest.raises(RequestRejected) as caught,
        backpressure.hold_wait_slot(1),
    ):
        raise AssertionError("no slot was free")
    assert caught.value.headers == {"Retry-After": "2"}  # one slot becomes free every two seconds


def test_a_result_page_without_a_slot_does_not_wait(
    queue: Queue, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    prediction = stored_prediction(state="queued")
    with backpressure.hold_wait_slot(1), backpressure.hold_wait_slot(1), django_assert_num_queries(3):
        assert submission.prediction_wait(prediction.id, 600).state == "queued"
        Prediction.objects.update(state="running")
        assert submission.prediction_wait(prediction.id, 600).state == "running"
