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

NO_ANSWER = {"success": False, "prediction": None, "score": None}


def _post(name: str = "photo.jpg", content: bytes | None = None) -> Any:
    return Client(enforce_csrf_checks=True).post("/predict", {"file": upload(content, name)})


def _assert_no_answer(response: Any, status: int = 400) -> None:
    assert (response.status_code, json.loads(response.content)) == (status, NO_ANSWER)
    assert response["Content-Type"] == "application/json"


def test_answers_with_exactly_three_keys(worker: FakeClassifier) -> None:
    response = _post(content=picture("JPEG"))
    assert response.status_code == 200
    assert json.loads(response.content) == {"success": True, "prediction": "espresso", "score": 0.9512}
    assert Prediction.objects.get().source == "old"


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpg", "a.Jpg", "a.jpeg", "a.JPEG", "a.gif", "a.b.GIF"])
def test_accepts_known_suffixes(worker: FakeClassifier, name: str) -> None:
    assert _post(name).status_code == 200


@pytest.mark.parametrize("name", ["a.webp", "a.txt", "png", "a.png.exe", ".png"])
def test_rejects_other_suffixes(name: str) -> None:
    _assert_no_answer(_post(name))
    assert not Prediction.objects.exists()


def test_allows_only_post(client: Client) -> None:
    assert client.get("/predict").status_code == 405
    assert client.put("/predict").status_code == 405


def test_rejects_requests_without_a_file(client: Client) -> None:
    _assert_no_answer(client.post("/predict", {"file": "a.jpg"}, content_type="application/json"))
    _assert_no_answer(client.post("/predict", {"file": "a text"}))
    _assert_no_answer(client.post("/predict"))


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
def test_rejects_malformed_requests(client: Client, body: bytes, content_type: str) -> None:
    _assert_no_answer(client.post("/predict", body, content_type=content_type))


def test_rejects_pictures_that_cannot_be_decoded(worker: FakeClassifier) -> None:
    _assert_no_answer(_post(content=picture("JPEG")[:-5]))
    _assert_no_answer(_post("corrupt.png", corrupt()))


def test_a_failed_classification_is_a_503(worker: FakeClassifier) -> None:
    worker.raises = RuntimeError("the engine broke")
    _assert_no_answer(_post(), status=503)


def test_an_answer_that_is_late_is_a_503_and_expires(queue: Queue, settings: Settings) -> None:
    settings.PREDICT_WAIT_SECONDS = 0.05
    _assert_no_answer(_post(), status=503)
    prediction = Prediction.objects.get()
    assert prediction.expires_at is not None
    assert prediction.expires_at <= timezone.now(), "the client cannot fetch a late answer"


@pytest.mark.parametrize("state", [Prediction.State.EXPIRED, Prediction.State.CANCELLED])
def test_a_prediction_that_settles_without_an_answer_is_a_503(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = stored_prediction(state=state, error_code="expired" if state == Prediction.State.EXPIRED else "")
    monkeypatch.setattr(submission, "prediction_request", lambda **_: settled)
    _assert_no_answer(_post(), status=503)


def test_no_csrf_token_is_needed(worker: FakeClassifier) -> None:
    file = SimpleUploadedFile("a.png", picture())
    assert (
        Client(enforce_csrf_checks=True, headers={"Origin": "https://elsewhere.example"})
        .post("/predict", {"file": file})
        .status_code
        == 200
    )
