"""A picture that is sent again with the same `Idempotency-Key` is stored once."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from django.db import connections
from django.test import Client
from rq import Queue

from predictions import idempotency, queues, submission
from predictions.models import Image, Prediction
from predictions.tests.fakes import FakeClassifier, upload
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


def _send(client: Client, key: str, address: str = "/api/predict", content: bytes | None = None) -> Any:
    headers = {"Idempotency-Key": key, "Prefer": "respond-async", "Accept": "application/json"}
    return client.post(address, {"file": upload(content)}, headers=headers)


@pytest.mark.parametrize("address", ["/", "/api/predict"])
def test_same_key_gives_the_same_prediction(client: Client, queue: Queue, address: str) -> None:
    key = str(uuid4())
    first, second = (_send(client, key, address) for _time in range(2))
    assert first.status_code == second.status_code and first.json() == second.json()
    assert queue.job_ids == [str(Prediction.objects.get().id)]


def test_other_key_gives_another_prediction(client: Client, queue: Queue) -> None:
    assert _send(client, str(uuid4())).json()["id"] != _send(client, str(uuid4())).json()["id"]


def test_key_may_stand_in_quotes(client: Client, queue: Queue) -> None:
    key = str(uuid4())
    assert _send(client, f'"{key.upper()}"').json()["id"] == _send(client, key).json()["id"]


def test_key_may_have_no_hyphens(client: Client, queue: Queue) -> None:
    key = uuid4()
    assert _send(client, key.hex).json()["id"] == _send(client, str(key)).json()["id"]


def test_repeated_request_gets_the_answer_that_came_meanwhile(client: Client, worker: FakeClassifier) -> None:
    key = str(uuid4())
    _send(client, key)
    response = client.post("/api/predict", {"file": upload()}, headers={"Idempotency-Key": key})
    assert (response.status_code, response.json()["prediction"]) == (200, "espresso")
    assert Prediction.objects.count() == 1


def test_rejects_the_same_key_with_another_picture(client: Client, queue: Queue) -> None:
    key = str(uuid4())
    _send(client, key)
    response = _send(client, key, content=picture(seed=1))
    assert (response.status_code, response.json()["code"]) == (422, "idempotency-key-reused")
    assert Prediction.objects.count() == Image.objects.count() == 1


@pytest.mark.parametrize("address", ["/", "/api/predict"])
@pytest.mark.parametrize(
    "key",
    [
        "1",
        "x" * 36,
        "00000000-0000-0000-0000-00000000000g",
        "0x" + "1" * 30,
        "+" + "1" * 31,
        "1_1_" + "1" * 28,
        "{00000000-0000-4000-8000-000000000000}",
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "0000-0000-0000-4000-8000-0000000000000000",
    ],
)
def test_rejects_keys_that_are_no_uuid(client: Client, queue: Queue, address: str, key: str) -> None:
    response = _send(client, key, address)
    assert (response.status_code, response.json()["code"]) == (400, "invalid-idempotency-key")
    assert not Prediction.objects.exists()


def test_browser_that_lost_the_first_answer_is_the_same_visitor(queue: Queue) -> None:
    key = str(uuid4())
    first, second = (_send(Client(), key, "/") for _time in range(2))
    assert first.cookies["visitor"].value.split(":")[0] == second.cookies["visitor"].value.split(":")[0]
    browser = Client()
    browser.cookies["visitor"] = second.cookies["visitor"].value
    assert browser.post(f"/predictions/{first.json()['id']}/delete/").status_code == 303
    assert Prediction.objects.get().is_erased


def test_visitors_with_different_keys_differ(queue: Queue) -> None:
    first, second = (_send(Client(), str(uuid4()), "/") for _time in range(2))
    assert first.cookies["visitor"].value.split(":")[0] != second.cookies["visitor"].value.split(":")[0]


def test_deleted_picture_is_not_stored_again(client: Client, queue: Queue) -> None:
    key = str(uuid4())
    prediction = _send(client, key).json()["id"]
    assert client.delete(f"/api/predictions/{prediction}").status_code == 204
    response = _send(client, key)
    assert (response.status_code, response.json()["code"]) == (410, "deleted")
    assert not Image.objects.filter(erased_at=None).exists()


def test_picture_that_could_not_be_queued_is_queued_with_the_same_key(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = str(uuid4())

    def fail(*_ids: str, **_options: object) -> None:
        raise redis.ConnectionError

    with monkeypatch.context() as away:
        away.setattr(queues, "enqueue", fail)
        assert [_send(client, key).status_code for _time in range(2)] == [503, 503]
    first, second = (_send(client, key) for _time in range(2))
    assert (first.status_code, first.json()) == (202, second.json())
    assert queue.job_ids == [first.json()["id"]]
    assert Prediction.objects.filter(error_code=Prediction.QUEUE_UNAVAILABLE).count() == 2


@pytest.mark.parametrize("address", ["/", "/api/predict"])
def test_script_is_told_that_the_picture_was_deleted(queue: Queue, address: str) -> None:
    key, browser = str(uuid4()), Client()
    prediction = _send(browser, key, "/").json()["id"]
    assert browser.delete(f"/api/predictions/{prediction}").status_code == 204
    response = _send(browser, key, address)
    assert (response.status_code, response.json()["code"]) == (410, "deleted")


def test_two_requests_at_once_store_one_prediction(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find no earlier prediction, and both write."""
    key, both = str(uuid4()), threading.Barrier(2)
    find = submission._find_repeated
    found: list[Prediction | None] = []

    def find_at_once(request_key: str, sha256: str) -> tuple[UUID, Prediction | None]:
        prediction_id, earlier = find(request_key, sha256)
        if len(found) < 2:
            found.append(earlier)
            both.wait(20)
        return prediction_id, earlier

    monkeypatch.setattr(submission, "_find_repeated", find_at_once)
    answers: list[Any] = []

    def send() -> None:
        answers.append(_send(Client(), key))
        connections.close_all()

    threads = [threading.Thread(target=send) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [None, None]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert (
        queue.job_ids == [str(idempotency.prediction_id(key))] == [answers[0].json()["id"]] == [answers[1].json()["id"]]
    )
