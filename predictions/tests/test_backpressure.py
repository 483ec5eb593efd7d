"""Requests that cannot be answered in time are rejected before their body is read, with a time to retry."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve
from pytest_django import Settings
from rq import Queue, worker_registration
from rq.utils import now, utcformat

from predictions.admission import backpressure, middleware
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import Unreadable, upload
from worker.rq_batch import liveness

pytestmark = pytest.mark.django_db(transaction=True)

SetLoad = Callable[..., None]


@pytest.fixture
def set_load(queue: Queue) -> SetLoad:
    """`set_load(jobs, rate, rate...)`: this many jobs in the queue, and a worker for each rate (predictions/s)."""

    def set_load(jobs: int, *rates: object, **facts: str) -> None:
        if jobs:
            queue.connection.rpush(queue.key, *[f"job-{number}" for number in range(jobs)])
        for number, rate in enumerate(rates):
            key = f"rq:worker:worker-{number}"
            entry = {"pid": str(os.getpid()), "last_heartbeat": utcformat(now()), "rate": str(rate), **facts}
            queue.connection.hset(key, mapping=dict[Any, Any](entry))
            queue.connection.sadd(worker_registration.WORKERS_BY_QUEUE_KEY % queue.name, key)
        backpressure.load.reset()

    return set_load


def _send(client: Client, address: str = "/api/predict", prefer: str = "", *, unreadable: bool = False) -> Any:
    extra: dict[str, Any] = {"wsgi.input": Unreadable()} if unreadable else {}
    return client.post(address, {"file": upload()}, headers={"Prefer": prefer} if prefer else {}, **extra)


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_rejects_when_the_queue_is_full(
    client: Client, set_load: SetLoad, settings: Settings, tmp_path: Path, prefer: str
) -> None:
    settings.QUEUE_MAX_LENGTH = 5
    set_load(15, 0.25, 0.75)
    response = _send(client, prefer=prefer, unreadable=True)
    assert (response.status_code, response.json()["code"]) == (503, "busy")
    assert response["Retry-After"] == "11"  # 11 of 15 have to be answered, at one per second
    assert response.json()["detail"] == "The queue is full. Please try again in 11 s."
    assert response["Content-Type"] == "application/problem+json"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert not Prediction.objects.exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_rule_belongs_to_a_view_that_takes_uploads() -> None:
    views = {path: resolve(path).view_name for path in middleware.RULES}
    assert views == {"/": "predictions:upload", "/predict": "old:predict", "/api/predict": "api:predict"}


def test_counts_what_it_has_queued_since_the_last_refresh(
    client: Client, set_load: SetLoad, settings: Settings
) -> None:
    settings.QUEUE_MAX_LENGTH = 5
    set_load(4)
    assert _send(client, prefer="respond-async").status_code == 202
    rejected = _send(client, prefer="respond-async")
    assert (rejected.status_code, rejected["Retry-After"]) == (503, "10")  # the rate is unknown


def test_the_page_shows_the_rejection(client: Client, set_load: SetLoad, settings: Settings) -> None:
    settings.QUEUE_MAX_LENGTH = 1
    set_load(1)
    response = _send(client, "/", unreadable=True)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert 'role="alert"' in response.text and "The queue is full. Please try again in 10 s." in response.text


def test_the_script_of_the_page_gets_problem_details(client: Client, set_load: SetLoad, settings: Settings) -> None:
    settings.QUEUE_MAX_LENGTH = 1
    set_load(1)
    response = client.post("/", {"file": upload()}, headers={"Accept": "application/json"})
    assert (response.status_code, response["Retry-After"], response.json()["code"]) == (503, "10", "busy")


def test_legacy_clients_get_three_keys(client: Client, set_load: SetLoad, settings: Settings) -> None:
    settings.QUEUE_MAX_LENGTH = 1
    set_load(1)
    response = _send(client, "/predict", unreadable=True)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert response.json() == {"success": False, "prediction": None, "score": None}


@pytest.mark.parametrize("address", ["/api/predict", "/", "/predict"])
def test_rejects_when_the_queue_is_too_long_to_answer_in_time(
    client: Client, set_load: SetLoad, settings: Settings, address: str
) -> None:
    settings.PREDICT_WAIT_SECONDS = 25
    set_load(130, 2, 3)
    response = _send(client, address)
    assert (response.status_code, response["Retry-After"]) == (503, "14")  # 26 s of work, and 12.5 s are allowed
    assert "The queue is too long to answer in time" in response.text or address == "/predict"
    assert not Prediction.objects.exists()


def test_admits_clients_that_do_not_wait_to_a_long_queue(client: Client, set_load: SetLoad) -> None:
    set_load(1000, 1)
    assert _send(client, prefer="respond-async").status_code == 202


@pytest.mark.parametrize(
    ("rates", "facts"),
    [((), {}), ((0,), {}), (("",), {}), ((1,), {"death": "2026-07-01T00:00:00Z"})],
    ids=["no worker", "a worker that has answered nothing yet", "no rate", "dead"],
)
def test_an_unknown_rate_rejects_nothing(set_load: SetLoad, rates: tuple[Any, ...], facts: dict[str, str]) -> None:
    set_load(1000, *rates, **facts)
    backpressure.require_capacity(wait_limit=1)
    assert backpressure.load.length == 1000 and backpressure.load.wait_seconds == 0


def test_admits_up_to_half_of_the_wait(set_load: SetLoad) -> None:
    set_load(100, 5)
    backpressure.require_capacity(wait_limit=40)
    with pytest.raises(RequestRejected):
        backpressure.require_capacity(wait_limit=39)


@pytest.mark.parametrize("workers", [1, 2])
def test_never_rejects_for_time_while_the_queue_is_short(set_load: SetLoad, settings: Settings, workers: int) -> None:
    """The workers take all of it with their next batches, whatever their rate was."""
    settings.BATCH_MAX_SIZE = 10
    set_load(10 * workers, *[0.1] * workers)
    backpressure.require_capacity(wait_limit=1)
    backpressure.load.add_enqueued(1)
    with pytest.raises(RequestRejected):
        backpressure.require_capacity(wait_limit=1)


def test_a_worker_without_a_rate_counts_like_the_others(set_load: SetLoad) -> None:
    """It has just started, for example."""
    set_load(100, 2, 0, 4)
    backpressure.require_capacity(wait_limit=30)
    assert backpressure.load.rate == 9


def test_rejected_clients_retry_one_after_the_other(set_load: SetLoad, settings: Settings) -> None:
    """They retry at the rate of the workers, and none is told to wait longer than `PREDICT_WAIT_SECONDS`."""
    settings.QUEUE_MAX_LENGTH, settings.PREDICT_WAIT_SECONDS = 5, 7
    set_load(7, 2)
    delays = []
    for _ in range(14):
        with pytest.raises(RequestRejected) as caught:
            backpressure.require_capacity(wait_limit=None)
        delays.append(caught.value.retry_after)
    assert delays == [2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7, 7]  # the first one when three of seven are answered


def test_retries_become_due_as_time_passes(set_load: SetLoad, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    schedule = backpressure.RetryAfterSchedule()
    assert [schedule.next(1, 2, 30) for _ in range(5)] == [1, 1.5, 2, 2.5, 3]
    now += 2
    assert schedule.next(1, 2, 30) == 1.5
    now += 100
    assert schedule.next(1, 2, 30) == 1
    assert schedule.next(50, 2, 30) == 50, "no capacity is free before that"


def test_retries_are_not_spread_if_the_rate_is_unknown() -> None:
    schedule = backpressure.RetryAfterSchedule()
    assert [schedule.next(10, 0, 30) for _ in range(3)] == [10, 10, 10]


@pytest.mark.parametrize(
    ("jobs", "waited", "seconds"),
    [
        (0, 0, 1),
        (5, 0, 1),
        (40, 0, 8),
        (40, 3, 5),
        (40, 7.5, 2),
        (40, 20, 5),
        (0, 40, 10),
        (0, 3600, 15),
        (1000, 0, 15),
    ],
)
def test_a_waiting_page_reloads_when_its_answer_is_due(
    set_load: SetLoad, jobs: int, waited: float, seconds: int
) -> None:
    set_load(jobs, 5)
    assert backpressure.reload_seconds(waited) == seconds


@pytest.fixture
def refreshes(set_load: SetLoad, monkeypatch: pytest.MonkeyPatch) -> list[Queue]:
    """The queue of each refresh of the load, so one entry for each."""
    found: list[Queue] = []
    read = liveness.live_workers

    def recorded(queue: Queue) -> Any:
        found.append(queue)
        return read(queue)

    monkeypatch.setattr(backpressure, "live_workers", recorded)
    return found


def test_refreshes_the_load_every_half_second(
    set_load: SetLoad, refreshes: list[Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    for at, count in [(100.0, 1), (100.49, 1), (100.5, 2), (100.9, 2), (200.0, 3)]:
        monkeypatch.setattr(backpressure, "time", SimpleNamespace(monotonic=lambda at=at: at))
        for _ in range(5):
            backpressure.require_capacity(wait_limit=1)
        assert len(refreshes) == count


def test_a_slow_refresh_does_not_block_other_requests(
    set_load: SetLoad, refreshes: list[Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, refreshing = threading.Event(), threading.Event()

    def slow(_queue: Queue) -> list[object]:
        refreshing.set()
        assert may_end.wait(20)
        return []

    monkeypatch.setattr(backpressure, "live_workers", slow)
    first = threading.Thread(target=backpressure.load.refresh)
    first.start()
    assert refreshing.wait(20)
    backpressure.require_capacity(wait_limit=1)  # returns while the refresh is going on
    may_end.set()
    first.join()


def test_rejects_requests_if_the_queue_cannot_be_reached(
    client: Client, no_queue: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Before their body is read, and with the real cause."""
    with pytest.raises(RequestRejected) as caught:
        backpressure.require_capacity(wait_limit=None)
    assert (caught.value.code, caught.value.retry_after) == ("queue-unavailable", 5)
    assert "Cannot read the load of the queue" in caplog.text
    assert _send(client).json()["code"] == "queue-unavailable"
