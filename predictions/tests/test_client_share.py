"""One client may not fill the queue for all others."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings
from rq import Queue, worker_registration
from rq.utils import now, utcformat

from predictions import announcements, submission
from predictions.admission import backpressure, client_share
from predictions.admission import middleware as admission
from predictions.exceptions import RequestRejected
from predictions.group_commit import GroupCommit
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, Unreadable, until_listening, upload
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)

GREEDY, HONEST = "192.0.2.1", "192.0.2.2"


@pytest.fixture(autouse=True)
def few_may_wait(settings: Settings) -> None:
    settings.QUEUE_MAX_WAITING_PER_CLIENT = 3


@pytest.fixture(autouse=True)
def empty_queue(request: pytest.FixtureRequest) -> None:
    if "no_queue" not in request.fixturenames:
        request.getfixturevalue("queue")


def _send(address: str, path: str = "/api/predict", *, unreadable: bool = False) -> Any:
    extra: dict[str, Any] = {"wsgi.input": Unreadable()} if unreadable else {}
    _send.seed = getattr(_send, "seed", 0) + 1  # type: ignore[attr-defined]
    file = upload(picture(seed=_send.seed))  # type: ignore[attr-defined]
    return Client(REMOTE_ADDR=address).post(path, {"file": file}, headers={"Prefer": "respond-async"}, **extra)


def _fill(address: str, number: int = 3) -> None:
    assert [_send(address).status_code for _ in range(number)] == [202] * number


def _eventually(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        until_listening()
    raise AssertionError("it did not happen")


def test_rejects_a_client_with_too_many_waiting_predictions_and_admits_others() -> None:
    _fill(GREEDY)
    rejected = _send(GREEDY, unreadable=True)
    assert (rejected.status_code, rejected.json()["code"]) == (429, "too-many-waiting")
    assert rejected["Retry-After"] == "10"  # the rate is unknown
    assert rejected.json()["detail"] == "3 predictions from your address are waiting. Please try again in 10 s."
    assert _send(HONEST).status_code == 202
    assert Prediction.objects.count() == 4


def test_page_api_and_legacy_predictions_count_together() -> None:
    _fill(GREEDY, 2)
    assert _send(GREEDY, "/").status_code == 303
    page = _send(GREEDY, "/", unreadable=True)
    assert page.status_code == 429 and 'role="alert"' in page.text
    legacy = _send(GREEDY, "/predict", unreadable=True)
    assert (legacy.status_code, legacy["Retry-After"]) == (429, "10")
    assert legacy.json() == {"success": False, "prediction": None, "score": None}


def test_admits_the_client_again_when_a_prediction_is_answered(worker: FakeClassifier) -> None:
    until_listening()
    for _ in range(5):
        _send(GREEDY)
        _eventually(lambda: client_share.waiting.number(GREEDY) == 0)
    assert Prediction.objects.filter(state="done").count() == 5


def test_admits_the_client_again_when_it_cancels(queue: Queue) -> None:
    until_listening()
    _fill(GREEDY, 2)
    last = _send(GREEDY)
    assert _send(GREEDY).status_code == 429
    Client().delete(last.json()["links"]["self"])
    _eventually(lambda: client_share.waiting.number(GREEDY) == 2)
    assert _send(GREEDY).status_code == 202


def test_a_missed_announcement_does_not_lock_the_client_out() -> None:
    _fill(GREEDY)
    Prediction.objects.update(state="cancelled", finished_at=now())
    assert _send(GREEDY).status_code == 202
    assert client_share.waiting.number(GREEDY) == 1


def test_counts_are_verified_at_most_once_a_second(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _fill(GREEDY)
    with django_assert_num_queries(1):
        for _ in range(5):
            assert _send(GREEDY, unreadable=True).status_code == 429
    monkeypatch.setattr(client_share, "VERIFY_SECONDS", 0)
    with django_assert_num_queries(1):
        assert _send(GREEDY, unreadable=True).status_code == 429


def test_counting_needs_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    _fill(GREEDY, 2)
    with django_assert_num_queries(0):
        client_share.require_share(GREEDY)


def test_a_database_that_is_away_changes_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(GREEDY)

    def away(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(Prediction.objects, "waiting", away)
    assert _send(GREEDY, unreadable=True).status_code == 429


def test_addresses_of_one_ipv6_network_count_together() -> None:
    for number in range(3):
        _fill(f"2001:db8::{number}", 1)
    assert _send("2001:db8::99", unreadable=True).status_code == 429
    assert _send("2001:db8:0:1::1").status_code == 202


def test_clients_of_unknown_address_are_not_counted() -> None:
    _fill("", 5)


def test_zero_turns_the_limit_off(settings: Settings) -> None:
    settings.QUEUE_MAX_WAITING_PER_CLIENT = 0
    _fill(GREEDY, 5)


def test_a_prediction_that_cannot_be_queued_does_not_count(no_queue: None) -> None:
    assert _send(GREEDY).json()["code"] == "queue-unavailable"
    assert client_share.waiting.number(GREEDY) == 0


def test_a_prediction_that_is_answered_at_once_does_not_count(worker: FakeClassifier) -> None:
    """The same bytes have been classified before (`REUSE_ANSWERS`)."""
    for _ in range(5):
        response = Client(REMOTE_ADDR=GREEDY).post("/api/predict", {"file": upload(picture(seed=1))})
        assert response.status_code == 200
    _eventually(lambda: client_share.waiting.number(GREEDY) == 0)


def test_a_rejected_picture_does_not_count() -> None:
    for _ in range(5):
        assert Client(REMOTE_ADDR=GREEDY).post("/api/predict", {"file": upload(b"text")}).status_code == 415
    assert client_share.waiting.number(GREEDY) == 0


@pytest.mark.parametrize(
    ("rate", "limit"),
    [(0, 1000), (10, 100), (70, 700), (1000, 1000), (0.1, 32)],
    ids=["unknown", "half of what is answered in time", "faster", "the setting", "never less than a batch"],
)
def test_the_limit_follows_the_rate_of_the_workers(settings: Settings, queue: Queue, rate: float, limit: int) -> None:
    settings.QUEUE_MAX_WAITING_PER_CLIENT, settings.PREDICT_WAIT_SECONDS, settings.BATCH_MAX_SIZE = 1000, 40, 32
    entry: dict[Any, Any] = {"pid": str(os.getpid()), "last_heartbeat": utcformat(now()), "rate": str(rate)}
    queue.connection.hset("rq:worker:w", mapping=entry)
    queue.connection.sadd(worker_registration.WORKERS_BY_QUEUE_KEY % queue.name, "rq:worker:w")
    for number in range(limit - 1):
        client_share.waiting.add(GREEDY, str(number))
    client_share.require_share(GREEDY)
    client_share.waiting.add(GREEDY, "the last")
    client_share.waiting._verified_at[GREEDY] = float("inf")  # these are no rows
    with pytest.raises(RequestRejected):
        client_share.require_share(GREEDY)
    backpressure.load.reset()


@pytest.mark.parametrize("path", ["/api/predict", "/predict"])
def test_one_client_may_use_half_of_the_wait_slots(settings: Settings, path: str) -> None:
    settings.WEB_THREADS, settings.PREDICT_WAIT_SECONDS = backpressure.FREE_THREADS + 2, 0.1  # two slots

    def send(address: str) -> int:
        return Client(REMOTE_ADDR=address).post(path, {"file": upload(b"no picture")}).status_code

    assert send(GREEDY) in {400, 415}
    with client_share.in_progress.acquire(GREEDY):
        rejected = Client(REMOTE_ADDR=GREEDY).post(path, {"file": upload()}, **{"wsgi.input": Unreadable()})  # type: ignore[arg-type]
        assert (rejected.status_code, rejected["Retry-After"]) == (429, "1")
        assert send(HONEST) in {400, 415}
        assert _send(GREEDY).status_code == 202, "it does not wait"
    assert send(GREEDY) in {400, 415}
    assert client_share.in_progress.number(GREEDY) == 0


@pytest.mark.parametrize("path", ["/api/predict", "/predict", "/"])
def test_uploads_that_begin_together_are_counted_when_they_have_arrived(path: str) -> None:
    """The web server decides about a large body before it receives it, when the client has nothing waiting yet."""
    _fill(GREEDY)
    admitted: dict[str, Any] = {admission.DECISION: None, "wsgi.input": Unreadable()}
    assert Client(REMOTE_ADDR=GREEDY).post(path, {"file": upload()}, **admitted).status_code == 429
    honest: dict[str, Any] = {admission.DECISION: None}
    assert Client(REMOTE_ADDR=HONEST).post(path, {"file": upload(b"no picture")}, **honest).status_code in {400, 415}


def test_the_only_wait_slot_is_for_everybody(settings: Settings) -> None:
    settings.WEB_THREADS = backpressure.FREE_THREADS + 1
    assert Client().post("/api/predict", {"file": upload(b"no picture")}).status_code == 415


def test_result_pages_of_one_client_wait_in_half_of_the_wait_slots(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEB_THREADS = backpressure.FREE_THREADS + 2  # two slots
    waited: list[Prediction] = []

    def wait(prediction: Prediction, *_: object) -> Prediction:
        waited.append(prediction)
        return prediction

    monkeypatch.setattr(submission, "_wait", wait)
    prediction = Prediction.objects.get(pk=_send(HONEST).json()["id"])
    with client_share.hold_wait_slot(GREEDY):
        assert Client(REMOTE_ADDR=GREEDY).get(prediction.get_absolute_url()).status_code == 200
        assert waited == []
        Client(REMOTE_ADDR=HONEST).get(prediction.get_absolute_url())
        assert waited == [prediction]
    assert client_share.in_progress.number(GREEDY) == backpressure.wait_slots.in_use == 0


def test_uploads_that_begin_together_use_half_of_the_wait_slots(settings: Settings) -> None:
    settings.WEB_THREADS = backpressure.FREE_THREADS + 2  # two slots
    admitted: dict[str, Any] = {admission.DECISION: None, "wsgi.input": Unreadable()}
    with client_share.in_progress.acquire(GREEDY):
        rejected = Client(REMOTE_ADDR=GREEDY).post("/api/predict", {"file": upload()}, **admitted)
    assert (rejected.status_code, rejected["Retry-After"]) == (429, "1")


def test_nothing_stays_in_memory_when_all_is_answered() -> None:
    for address in (GREEDY, HONEST):
        _fill(address)
        _send(address)
    announcements.listener._wake(dict.fromkeys(map(str, Prediction.objects.values_list("pk", flat=True))))
    waiting = client_share.waiting
    assert not waiting._by_client and not waiting._clients and not waiting._verified_at


def test_an_exception_while_queueing_takes_the_prediction_off_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GroupCommit, "write", fails)
    with pytest.raises(KeyboardInterrupt):
        submission.prediction_request(upload=upload(), source=Prediction.Source.API, client=GREEDY)
    assert client_share.waiting.number(GREEDY) == 0
