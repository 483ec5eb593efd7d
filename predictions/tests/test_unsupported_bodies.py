"""Bodies and pictures of other types are rejected with a message that says what to send instead."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from predictions.models import Prediction
from predictions.tests.fakes import upload
from predictions.tests.pictures import encoded, noise, picture

pytestmark = pytest.mark.django_db(transaction=True)

OTHER_BODIES = {
    "picture": (picture(), "image/png"),
    "JSON": (b'{"image": "aGk="}', "application/json"),
    "bytes": (picture(), "application/octet-stream"),
    "text": (b"hello", "text/plain"),
}


@pytest.mark.parametrize("body", OTHER_BODIES)
@pytest.mark.parametrize("path", ["/api/predict", "/"])
def test_rejection_of_another_body_says_what_to_send(path: str, body: str) -> None:
    content, content_type = OTHER_BODIES[body]
    response: Any = Client().post(path, content, content_type=content_type)
    assert response.status_code == 415
    assert content_type in response.text and "multipart/form-data" in response.text
    assert "curl -F file=@photo.jpg http://testserver" in response.text
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("body", OTHER_BODIES)
def test_legacy_endpoint_rejects_another_body_with_three_keys(body: str) -> None:
    content, content_type = OTHER_BODIES[body]
    response = Client().post("/predict", content, content_type=content_type)
    assert (response.status_code, response.json()) == (400, {"success": False, "prediction": None, "score": None})


@pytest.mark.parametrize(("path", "status"), [("/api/predict", 415), ("/", 415), ("/predict", 400)])
def test_rejects_compressed_body(path: str, status: int) -> None:
    headers = {"Content-Encoding": "gzip"}
    response: Any = Client().post(path, {"file": upload()}, headers=headers)
    assert response.status_code == status
    assert path == "/predict" or "gzip" in response.text


FOREIGN = {
    "BigTIFF": encoded(noise(), "TIFF", big_tiff=True),
    "JPEG XL": b"\xff\x0a" + bytes(100),
    "Photoshop": b"8BPS" + bytes(100),
    "raw": b"\x00\x00\x00\x18ftypcrx " + bytes(100),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_names_the_format_of_a_picture_that_is_not_accepted(name: str) -> None:
    response = Client().post("/api/predict", {"file": upload(FOREIGN[name], name="IMG_1.jpg")})
    assert (response.status_code, response.json()["code"]) == (415, "not-an-image")
    assert f"{name} picture" in response.json()["detail"] and "JPEG" in response.json()["detail"]


def test_does_not_name_what_is_no_picture() -> None:
    response = Client().post("/api/predict", {"file": upload(b"hello, world", name="a.heic")})
    assert (response.status_code, response.json()["code"]) == (415, "not-an-image")
    assert "not a picture of a known format" in response.json()["detail"]
