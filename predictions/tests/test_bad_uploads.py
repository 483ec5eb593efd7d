"""Bad input, sent to every door: a clear message, never a 500, never a leftover."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageFile
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from predictions.models import Image, Prediction
from predictions.tests import pictures
from predictions.tests.pictures import encoded, noise, picture

pytestmark = pytest.mark.django_db(transaction=True)

DOORS = ["/", "/predict", "/api/predict"]
BOUNDARY = "frontier"


def _send(door: str, *files: tuple[str, bytes], field: str = "file") -> Any:
    uploads = [SimpleUploadedFile(name, content) for name, content in files]
    return Client().post(door, {field: uploads})


def _assert_refused(response: Any, door: str, status: int) -> None:
    if door == "/predict":
        assert response.status_code == 400
        assert response.json() == {"success": False, "prediction": None, "score": None}
    else:
        assert response.status_code == status
        assert "alert" in response.text or len(response.json()["detail"]) > 10


def _assert_nothing_left(tmp_path: Path) -> None:
    assert not Prediction.objects.exists()
    assert not Image.objects.exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return pictures.png_bomb()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"I am a text", 415),
        (picture("JPEG")[:-20], 400),
        (picture("PNG")[:-100], 400),
        (picture("GIF")[:-100], 400),
        (picture("WEBP")[:-100], 400),
        (encoded(noise(1, 1), "PNG"), 400),
        (pictures.many_scans(20_000), 400),
    ],
    ids=["empty", "text", "cut JPEG", "cut PNG", "cut GIF", "cut WebP", "one pixel", "many scans"],
)
def test_refused(door: str, content: bytes, status: int, tmp_path: Path) -> None:
    _assert_refused(_send(door, ("picture.jpg", content)), door, status)
    _assert_nothing_left(tmp_path)


@pytest.mark.parametrize("door", DOORS)
def test_a_bomb(door: str, bomb: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", None)  # not one of its 400 million pixels is unpacked
    _assert_refused(_send(door, ("bomb.png", bomb)), door, 413)
    _assert_nothing_left(tmp_path)


@pytest.mark.parametrize("door", DOORS)
def test_two_files_and_a_wrong_field(door: str, tmp_path: Path) -> None:
    _assert_refused(_send(door, ("a.png", picture()), ("b.png", picture())), door, 400)
    _assert_refused(_send(door, ("a.png", picture()), field="image"), door, 400)
    _assert_nothing_left(tmp_path)


class _Zeros(RawIOBase):
    """A multipart body with one huge file, made while it is read."""

    def __init__(self, size: int) -> None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        self._parts: Iterator[bytes] = iter(
            [head.encode(), *([bytes(2**16)] * (size >> 16)), f"\r\n--{BOUNDARY}--\r\n".encode()]
        )
        self._rest = b""
        self.size = len(head) + (size >> 16 << 16) + len(BOUNDARY) + 8

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (part := next(self._parts, b"")):
            self._rest += part
        result, self._rest = self._rest[:size], self._rest[size:]
        return result


@pytest.mark.parametrize("door", DOORS)
def test_200_megabytes(door: str, tmp_path: Path, settings: Settings) -> None:
    body = _Zeros(200 * 2**20)
    tracemalloc.start()
    request: dict[str, Any] = {
        "wsgi.input": body,
        "CONTENT_LENGTH": str(body.size),
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
    }
    response = Client().generic("POST", door, **request)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    _assert_refused(response, door, 413)
    _assert_nothing_left(tmp_path)
    assert not body.read(1)  # all of it was read, so that the sender gets to see the answer
    assert peak < 2 * settings.UPLOAD_MAX_BYTES


@pytest.mark.parametrize("door", DOORS)
def test_in_chunks(door: str, tmp_path: Path) -> None:
    """A body without Content-Length, as a web server hands it on: Django would read nothing of it."""
    request: dict[str, Any] = {
        "wsgi.input": _Zeros(2**16),
        "CONTENT_LENGTH": "",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
    }
    response = Client().generic("POST", door, **request)
    _assert_refused(response, door, 411)
    assert door == "/predict" or "Content-Length" in response.text
    _assert_nothing_left(tmp_path)


def test_files_that_are_too_much_together(settings: Settings, tmp_path: Path) -> None:
    content = picture()
    settings.UPLOAD_MAX_BYTES = len(content) + 10
    other, file = BytesIO(content), BytesIO(content)
    other.name, file.name = "other.png", "file.png"
    response = Client().post("/api/predict", {"other": other, "file": file})
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    _assert_nothing_left(tmp_path)
