"""The contract of the original course service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rq import Queue

from predictions import submission
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction, upload
from predictions.tests.pictures import corrupt, picture

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = {"success": False, "prediction": None, "score": None}


def _post(name: str = "photo.jpg", content: bytes | None = None) -> Any:
    return Client(enforce_csrf_checks=True).post("/predict", {"file": upload(content, name)})


def _assert_nothing(response: Any, status: int = 400) -> None:
    assert (response.status_code, json.loads(response.content)) == (status, NOTHING)
    assert response["Content-Type"] == "application/json"


def test_it_works(worker: FakeClassifier) -> None:
    response = _post(content=picture("JPEG"))
    assert response.status_code == 200
    assert json.loads(response.content) == {"success": True, "prediction": "espresso", "score": 0.9512}
    assert Prediction.objects.get().source == "old"


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "a.Jpg", "a.jpeg", "a.JPEG", "a.gif", "a.b.GIF"])
def test_suffixes(worker: FakeClassifier, name: str) -> None:
    assert _post(name).status_code == 200


@pytest.mark.parametrize("name", ["a.webp", "a.txt", "png", "a.png.exe", ".png"])
def test_other_suffixes(name: str) -> None:
    _assert_nothing(_post(name))
    assert not Prediction.objects.exists()


def test_get(client: Client) -> None:
    assert client.get("/predict").status_code == 405
    assert client.put("/predict").status_code == 405


def test_not_a_file(client: Client) -> None:
    _assert_nothing(client.post("/predict", {"file": "a.jpg"}, content_type="application/json"))
    _assert_nothing(client.post("/predict", {"file": "a text"}))
    _assert_nothing(client.post("/predict"))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary="),
        (b"--x\r\n" * 20_000, "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="b.jpg"\r\n\r\n\r\n' * 200,
            "multipart/form-data; boundary=x",
        ),
        (b"file=" + b"x" * 3_000_000, "application/x-www-form-urlencoded"),
        (b"file=x", "application/x-www-form-urlencoded; charset=utf-16"),
    ],
    ids=["no boundary", "empty boundary", "nothing but boundaries", "too many files", "a huge field", "odd charset"],
)
def test_broken_requests(client: Client, body: bytes, content_type: str) -> None:
    _assert_nothing(client.post("/predict", body, content_type=content_type))


def test_undecodable(worker: FakeClassifier) -> None:
    _assert_nothing(_post(content=picture("JPEG")[:-5]))
    _assert_nothing(_post("corrupt.png", corrupt()))


def test_our_failure(worker: FakeClassifier) -> None:
    worker.raises = RuntimeError("the engine broke")
    _assert_nothing(_post(), status=503)


def test_no_worker(queue: Queue, settings: Settings) -> None:
    settings.PREDICT_WAIT_SECONDS = 0.05
    _assert_nothing(_post(), status=503)
    prediction = Prediction.objects.get()
    assert prediction.expires_at is not None
    assert prediction.is_expired_at(timezone.now()), "nobody comes back for the answer"


@pytest.mark.parametrize("state", [Prediction.State.EXPIRED, Prediction.State.CANCELLED])
def test_settled_without_an_answer_during_the_wait(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = stored_prediction(state=state, error_code="expired" if state == Prediction.State.EXPIRED else "")
    monkeypatch.setattr(submission, "prediction_request", lambda **_: settled)
    _assert_nothing(_post(), status=503)


def test_no_csrf_token_is_needed(worker: FakeClassifier) -> None:
    file = SimpleUploadedFile("a.png", picture())
    assert (
        Client(enforce_csrf_checks=True, headers={"Origin": "https://elsewhere.example"})
        .post("/predict", {"file": file})
        .status_code
        == 200
    )
