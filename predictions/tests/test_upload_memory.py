"""Ending a request releases its upload at once, without the garbage collector, which runs rarely."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from rq import Queue

from predictions.tests.fakes import FakeClassifier
from predictions.tests.pictures import encoded, noise
from predictions.uploads import validation as images

pytestmark = pytest.mark.django_db(transaction=True)

BOUNDARY = "frontier"
END = f"--{BOUNDARY}--\r\n".encode()
FILE = os.urandom(2**20)
PICTURE = encoded(noise(600, 400), "PNG")
PICTURE_PATHS = ["/", "/predict", "/api/predict"]
FORM_PATHS = ["/feedback", "/api/feedback"]


def _part(content: bytes = FILE, *, field: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="a.jpg"\r\n\r\n'
    return head.encode() + content + b"\r\n"


class _BrokenConnection(BytesIO):
    """A body that ends with an error, as some web servers report a broken connection. Others just end it."""

    def read(self, size: int | None = -1) -> bytes:
        if chunk := super().read(size):
            return chunk
        raise ConnectionResetError("The client has gone.")


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """Logs nothing: pytest keeps the records, and with them the exceptions."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def site() -> WSGIHandler:
    """The site without Django's test client, which keeps contexts and exceptions itself."""
    return WSGIHandler()


def _status(site: WSGIHandler, path: str, body: BytesIO, content_length: int) -> int:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "CONTENT_LENGTH": str(content_length),
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
        "wsgi.input": body,
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }
    response: Any = site(environ, lambda *_: bytes)
    response.close()
    return int(response.status_code)


def _assert_released(
    site: WSGIHandler, path: str, content: bytes, *, status: int, stream: type[BytesIO] = BytesIO
) -> None:
    length = 2 * len(content)  # more than is sent, as in a request that was cut off
    _status(site, path, stream(content), length)  # a first request imports and caches; that does not count
    for thread in threading.enumerate():
        if thread.name == "labels":  # it makes the search tables of labels, which the first request needs
            thread.join()
    body = stream(content)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        assert _status(site, path, body, length) == status
        held, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert held < len(PICTURE) / 2


REJECTED = {
    "aborted": _part()[:-2],
    "no end": _part(),
    "bytes after the boundary": _part() + f"--{BOUNDARY}nonsense".encode(),
    "broken header": _part() + f"--{BOUNDARY}\r\nno header\n\r\n".encode(),
    "too many headers": _part() + f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 20,
    "too many parts": _part() + _part(b"") * 1100 + END,
    "several files": _part() + _part() + END,
    "wrong field": _part(field="image") + END,
    "not an image": _part() + END,
    "incomplete image": _part(PICTURE[:-100]) + END,
    "larger than the limit": _part(FILE * 21) + END,
    "larger than the limit and aborted": _part(FILE * 21),
}


@pytest.mark.parametrize("path", PICTURE_PATHS)
@pytest.mark.parametrize("case", REJECTED)
def test_rejected_upload_is_released(site: WSGIHandler, path: str, case: str, queue: Queue) -> None:
    status = {"not an image": 415, "larger than the limit": 413}.get(case, 400)
    _assert_released(site, path, REJECTED[case], status=400 if path == "/predict" else status)


@pytest.mark.parametrize("path", PICTURE_PATHS)
def test_upload_over_broken_connection_is_released(site: WSGIHandler, path: str, queue: Queue) -> None:
    _assert_released(site, path, _part(), status=400, stream=_BrokenConnection)


@pytest.mark.parametrize("path", FORM_PATHS)
@pytest.mark.parametrize("case", ["aborted", "too many parts", "several files", "not an image"])
def test_file_in_form_without_file_field_is_released(site: WSGIHandler, path: str, case: str) -> None:
    _assert_released(site, path, REJECTED[case], status=413 if path == "/feedback" else 400)  # its bodies are small


@pytest.mark.parametrize("path", PICTURE_PATHS)
def test_picture_that_cannot_be_queued_is_released(
    site: WSGIHandler, path: str, queue_server: None, no_queue: None, fake_classifier: FakeClassifier
) -> None:
    _assert_released(site, path, _part(PICTURE) + END, status=503)


@pytest.mark.parametrize("path", PICTURE_PATHS)
@pytest.mark.parametrize("step", ["store", "record"])
def test_picture_is_released_after_error(
    site: WSGIHandler,
    path: str,
    step: str,
    queue: Queue,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(images, step, fail)
    _assert_released(site, path, _part(PICTURE) + END, status=500)
