"""What cannot be answered in time is refused before any of it is read, and says when to come again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rq import Queue, worker_registration
from rq.utils import now, utcformat

from predictions.admission import backpressure
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import Unreadable, upload
from worker.rq_batch import liveness

pytestmark = pytest.mark.django_db(transaction=True)


Load = Callable[..., None]


@pytest.fixture
def load(queue: Queue) -> Load:
    """`load(jobs, rate, rate...)`: so many jobs in the queue, and a worker for each of the rates (predictions/s)."""

    def load(jobs: int, *rates: object, **facts: str) -> None:
        if jobs:
            queue.connection.rpush(queue.key, *[f"job-{number}" for number in range(jobs)])
        for number, rate in enumerate(rates):
            key = f"rq:worker:worker-{number}"
            entry = {"pid": str(os.getpid()), "last_heartbeat": utcformat(now()), "rate": str(rate), **facts}
            queue.connection.hset(key, mapping=dict[Any, Any](entry))
            queue.connection.sadd(worker_registration.WORKERS_BY_QUEUE_KEY % queue.name, key)
        backpressure.load.forget()

    return load


def _send(client: Client, address: str = "/api/predict", prefer: str = "", *, unreadable: bool = False) -> Any:
    extra: dict[str, Any] = {"wsgi.input": Unreadable()} if unreadable else {}
    return client.post(address, {"file": upload()}, headers={"Prefer": prefer} if prefer else {}, **extra)


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_a_full_queue(client: Client, load: Load, settings: Settings, tmp_path: Path, prefer: str) -> None:
    settings.QUEUE_MAX_LENGTH = 5
    load(15, 0.25, 0.75)
    response = _send(client, prefer=prefer, unreadable=True)
    assert (response.status_code, response.json()["code"]) == (503, "busy")
    assert response["Retry-After"] == "11"  # so many have to go, at one a second
    assert response.json()["detail"] == "The queue is full. Please try again in 11 s."
    assert response["Content-Type"] == "application/problem+json"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert not Prediction.objects.exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_one_place_is_left(client: Client, load: Load, settings: Settings) -> None:
    settings.QUEUE_MAX_LENGTH = 5
    load(4)
    assert _send(client, prefer="respond-async").status_code == 202
    refused = _send(client, prefer="respond-async")  # which this process knows without another look
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")  # nobody knows how fast it gets shorter


def test_on_the_page(client: Client, load: Load, settings: Settings) -> None:
    settings.QUEUE_MAX_LENGTH = 1
    load(1)
    response = _send(client, "/", unreadable=True)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert 'role="alert"' in response.text and "The queue is full. Please try again in 10 s." in response.text


def test_an_old_client(client: Client, load: Load, settings: Settings) -> None:
    settings.QUEUE_MAX_LENGTH = 1
    load(1)
    response = _send(client, "/predict", unreadable=True)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert response.json() == {"success": False, "prediction": None, "score": None}


@pytest.mark.parametrize("address", ["/api/predict", "/", "/predict"])
def test_too_long_to_answer_in_time(client: Client, load: Load, settings: Settings, address: str) -> None:
    settings.PREDICT_WAIT_SECONDS = 25
    load(130, 2, 3)
    response = _send(client, address)
    assert (response.status_code, response["Retry-After"]) == (503, "14")  # 26 s of work, of which 12.5 s are bearable
    assert "The queue is too long to answer in time" in response.text or address == "/predict"
    assert not Prediction.objects.exists()


def test_who_does_not_wait_has_time(client: Client, load: Load) -> None:
    load(1000, 1)
    assert _send(client, prefer="respond-async").status_code == 202


@pytest.mark.parametrize(
    ("rates", "facts"),
    [((), {}), ((0,), {}), (("",), {}), ((1,), {"death": "2026-07-01T00:00:00Z"})],
    ids=["no worker", "a worker that has done nothing yet", "no rate", "dead"],
)
def test_an_unknown_rate_refuses_nothing(load: Load, rates: tuple[Any, ...], facts: dict[str, str]) -> None:
    load(1000, *rates, **facts)
    backpressure.require_room(wait_limit=1)
    assert backpressure.load.length == 1000 and backpressure.load.wait_seconds == 0


def test_just_in_time(load: Load) -> None:
    load(100, 5)
    backpressure.require_room(wait_limit=40)
    with pytest.raises(RequestRejected):
        backpressure.require_room(wait_limit=39)


def test_those_who_were_refused_come_one_after_the_other(load: Load, settings: Settings) -> None:
    """As fast as there is room for them; but nobody is told to stay away for longer than he would wait."""
    settings.QUEUE_MAX_LENGTH, settings.PREDICT_WAIT_SECONDS = 5, 7
    load(7, 2)
    told = []
    for _ in range(14):
        with pytest.raises(RequestRejected) as caught:
            backpressure.require_room(wait_limit=None)
        told.append(caught.value.retry_after)
    assert told == [2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7, 7]  # the first when three of seven are done


def test_the_line_gets_shorter_with_time(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: moment)
    line = backpressure.VirtualQueue()
    assert [line.turn(1, 2, 30) for _ in range(5)] == [1, 1.5, 2, 2.5, 3]
    moment += 2
    assert line.turn(1, 2, 30) == 1.5
    moment += 100
    assert line.turn(1, 2, 30) == 1
    assert line.turn(50, 2, 30) == 50, "there is no room before, so that it is no use to come earlier"


def test_nobody_stands_in_line_where_the_rate_is_not_known() -> None:
    line = backpressure.VirtualQueue()
    assert [line.turn(10, 0, 30) for _ in range(3)] == [10, 10, 10]


@pytest.mark.parametrize(
    ("jobs", "waited", "seconds"),
    [(0, 0, 1), (5, 0, 1), (40, 0, 8), (40, 3, 5), (40, 7.5, 2), (40, 60, 2), (1000, 0, 15)],
)
def test_a_page_looks_again_when_the_answer_should_be_there(load: Load, jobs: int, waited: float, seconds: int) -> None:
    load(jobs, 5)
    assert backpressure.look_again_seconds(waited) == seconds


@pytest.fixture
def looks(load: Load, monkeypatch: pytest.MonkeyPatch) -> list[Queue]:
    """One entry for each look at the workers."""
    found: list[Queue] = []
    look = liveness.live_workers

    def noted(queue: Queue) -> Any:
        found.append(queue)
        return look(queue)

    monkeypatch.setattr(backpressure, "live_workers", noted)
    return found


def test_one_look_in_half_a_second(load: Load, looks: list[Queue], monkeypatch: pytest.MonkeyPatch) -> None:
    for moment, so_many in [(100.0, 1), (100.49, 1), (100.5, 2), (100.9, 2), (200.0, 3)]:
        monkeypatch.setattr(backpressure, "time", SimpleNamespace(monotonic=lambda moment=moment: moment))
        for _ in range(5):
            backpressure.require_room(wait_limit=1)
        assert len(looks) == so_many


def test_who_looks_does_not_keep_the_others(load: Load, looks: list[Queue], monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, looking = threading.Event(), threading.Event()

    def slow(_queue: Queue) -> list[object]:
        looking.set()
        assert let_go.wait(20)
        return []

    monkeypatch.setattr(backpressure, "live_workers", slow)
    first = threading.Thread(target=backpressure.load.refresh)
    first.start()
    assert looking.wait(20)
    backpressure.require_room(wait_limit=1)  # would hang
    let_go.set()
    first.join()


def test_no_queue(client: Client, no_queue: None, caplog: pytest.LogCaptureFixture) -> None:
    """Not refused here: whoever queues it learns what is wrong."""
    backpressure.require_room(wait_limit=1)
    assert "Cannot look at the queue" in caplog.text
    assert _send(client).json()["code"] == "queue-unavailable"
