from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings
from rq import Queue

from predictions import labels
from predictions.models import Image, Prediction
from predictions.tests.fakes import upload

pytestmark = pytest.mark.django_db(transaction=True)


def _nothing_stored(tmp_path: Path) -> bool:
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    return not (Prediction.objects.exists() or Image.objects.exists() or files)


def test_redirects_to_the_queued_prediction(client: Client, queue: Queue) -> None:
    response = client.post("/", {"file": upload(name="Café.PNG")})
    prediction = Prediction.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/predictions/{prediction.id}/")
    assert (prediction.state, prediction.source, prediction.file_name) == ("queued", "page", "Café.PNG")
    assert queue.job_ids == [str(prediction.id)]


def test_a_script_gets_the_prediction_and_no_redirect(client: Client, queue: Queue) -> None:
    response = client.post("/", {"file": upload()}, headers={"Accept": "application/json"})
    prediction = Prediction.objects.get()
    assert (response.status_code, response["Location"]) == (201, f"/predictions/{prediction.id}/")
    body = response.json()
    assert (body["id"], body["state"], "visitor" in response.cookies) == (str(prediction.id), "queued", True)


@pytest.mark.parametrize(("content", "status", "code"), [(b"", 400, "empty"), (b"text", 415, "not-an-image")])
def test_a_script_gets_problem_details(client: Client, content: bytes, status: int, code: str) -> None:
    response = client.post("/", {"file": upload(content)}, headers={"Accept": "application/json"})
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert response.json()["code"] == code


def test_shows_the_form(client: Client) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert 'enctype="multipart/form-data"' in response.text
    assert "JPEG, PNG, GIF, WEBP, BMP, TIFF, AVIF, HEIC, up to 20 MB" in response.text
    assert client.head("/").status_code == 200


def test_renders_one_page_for_all_requests_without_cookies(client: Client, settings: Settings) -> None:
    response = client.get("/")
    first = response.text
    assert "Cookie" in response["Vary"]
    assert client.get("/").text == first
    client.cookies["theme"] = "none"
    assert client.get("/").text == first
    client.cookies.clear()
    settings.UPLOAD_MAX_BYTES = 3 * 2**20
    assert "up to 3 MB" in client.get("/").text


def test_a_form_without_a_file_shows_a_message(client: Client, tmp_path: Path) -> None:
    response = client.post("/")
    assert (response.status_code, response["Location"]) == (302, "/")
    assert [str(message) for message in get_messages(response.wsgi_request)] == ["Please choose a picture first."]
    assert "Please choose a picture first." in client.get("/").text
    assert _nothing_stored(tmp_path)


def test_a_form_with_an_empty_file_field_shows_a_message(client: Client) -> None:
    """A browser sends a part with an empty file name if no file was chosen."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--x--\r\n'
    assert client.post("/", body, content_type="multipart/form-data; boundary=x").status_code == 302


@pytest.mark.parametrize(
    ("field", "content", "status", "message"),
    [
        ("file", b"", 400, "The file is empty."),
        ("file", b"text", 415, "is not a picture of a known format"),
        ("<b>image</b>", b"x", 400, "this request used “&lt;b&gt;image&lt;/b&gt;”"),
    ],
)
def test_shows_why_a_file_was_rejected(
    client: Client, field: str, content: bytes, status: int, message: str, tmp_path: Path
) -> None:
    response = client.post("/", {field: SimpleUploadedFile("cat.jpg", content)})
    assert response.status_code == status
    assert message in response.text
    assert 'role="alert"' in response.text and '<form class="card upload"' in response.text
    assert _nothing_stored(tmp_path)


def test_rejects_a_malformed_request(client: Client) -> None:
    response = client.post("/", b"x", content_type="multipart/form-data")
    assert response.status_code == 400


def test_allows_only_get_head_and_post(client: Client) -> None:
    assert client.put("/").status_code == 405
    assert client.delete("/").status_code == 405


def test_no_csrf_token_is_needed(queue: Queue) -> None:
    browser = Client(enforce_csrf_checks=True, headers={"Origin": "https://elsewhere.example"})
    assert browser.post("/").status_code == 302
    assert browser.post("/", {"file": upload()}).status_code == 303
    assert browser.put("/").status_code == 405
    assert "csrfmiddlewaretoken" not in browser.get("/").text


@pytest.mark.usefixtures("models")
def test_says_how_many_labels_the_model_knows(client: Client) -> None:
    assert f"out of the {len(labels.index()):,} things it knows" in client.get("/").text


def test_says_that_the_picture_is_too_large(client: Client, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 2**18
    response = client.post("/", {"file": upload(bytes(2**18 + 1))})
    assert response.status_code == 413
    assert "This picture is too large. At most 0.25 MB are accepted." in response.text
