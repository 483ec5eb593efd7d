"""Bad uploads to each endpoint get a clear message, never a 500, and leave nothing behind."""

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

PATHS = ["/", "/predict", "/api/predict"]
BOUNDARY = "frontier"


def _send(path: str, *files: tuple[str, bytes], field: str = "file") -> Any:
    uploads = [SimpleUploadedFile(name, content) for name, content in files]
    return Client().post(path, {field: uploads})


def _assert_rejected(response: Any, path: str, status: int) -> None:
    if path == "/predict":
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


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"plain text", 415),
        (picture("JPEG")[:-20], 400),
        (picture("PNG")[:-100], 400),
        (picture("GIF")[:-100], 400),
        (picture("WEBP")[:-100], 400),
        (encoded(noise(1, 1), "PNG"), 400),
        (pictures.many_scans(20_000), 400),
    ],
    ids=["empty", "text", "cut JPEG", "cut PNG", "cut GIF", "cut WebP", "one pixel", "many scans"],
)
def test_rejects_bad_files(path: str, content: bytes, status: int, tmp_path: Path) -> None:
    _assert_rejected(_send(path, ("picture.jpg", content)), path, status)
    _assert_nothing_left(tmp_path)


@pytest.mark.parametrize("path", PATHS)
def test_rejects_a_decompression_bomb_without_decoding_it(
    path: str, bomb: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", None)  # none of its 400 million pixels may be decoded
    _assert_rejected(_send(path, ("bomb.png", bomb)), path, 413)
    _assert_nothing_left(tmp_path)


@pytest.mark.parametrize("path", PATHS)
def test_rejects_two_files_and_a_wrong_field(path: str, tmp_path: Path) -> None:
    _assert_rejected(_send(path, ("a.png", picture()), ("b.png", picture())), path, 400)
    _assert_rejected(_send(path, ("a.png", picture()), field="image"), path, 400)
    _assert_nothing_left(tmp_path)


class _Zeros(RawIOBase):
    """A multipart body with one huge file of zeros, generated while it is read."""

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


@pytest.mark.parametrize("path", PATHS)
def test_rejects_200_megabytes_without_holding_them(path: str, tmp_path: Path, settings: Settings) -> None:
    body = _Zeros(200 * 2**20)
    tracemalloc.start()
    request: dict[str, Any] = {
        "wsgi.input": body,
        "CONTENT_LENGTH": str(body.size),
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
    }
    response = Client().generic("POST", path, **request)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    _assert_rejected(response, path, 413)
    _assert_nothing_left(tmp_path)
    assert not body.read(1)  # the whole body was read, so the client can read the answer
    assert peak < 2 * settings.UPLOAD_MAX_BYTES


def test_rejects_files_that_exceed_the_limit_together(settings: Settings, tmp_path: Path) -> None:
    content = picture()
    settings.UPLOAD_MAX_BYTES = len(content) + 10
    other, file = BytesIO(content), BytesIO(content)
    other.name, file.name = "other.png", "file.png"
    response = Client().post("/api/predict", {"other": other, "file": file})
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    _assert_nothing_left(tmp_path)
