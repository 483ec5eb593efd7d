"""`/feedback` rejects bodies that are too large, that it cannot read, or that it would not store completely."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from feedback.models import Feedback
from feedback.report_form import BODY_MAX_BYTES, MAX_FIELDS
from predictions.tests.fakes import Unreadable

pytestmark = pytest.mark.django_db(transaction=True)

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"


class Interrupted(io.RawIOBase):
    """A body whose sender closes the connection."""

    def read(self, size: int = -1) -> bytes:
        raise ConnectionResetError


def _post(body: bytes, content_type: str = URLENCODED, **environ: Any) -> Any:
    return Client(enforce_csrf_checks=True).generic("POST", "/feedback", body, content_type, **environ)


def _part(content: bytes, name: str = "report", *, more: str = "", headers: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n{headers}\r\n'.encode() + content + b"\r\n"


def _form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


def _assert_rejected(response: Any, status: int, code: str, settings: Settings) -> None:
    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert f'role="alert" data-code="{code}"' in response.text and "Your report is saved" not in response.text
    assert not Feedback.objects.exists()
    assert not Path(settings.FEEDBACK_FILE).exists()


def _assert_stored(response: Any, report: str, settings: Settings) -> None:
    assert response.status_code == 200 and "Your report is saved" in response.text
    assert Feedback.objects.get().comment == report
    assert Path(settings.FEEDBACK_FILE).read_bytes().decode() == f"{report}\n"


@pytest.mark.parametrize("spare", [0, -1])
def test_accepts_body_up_to_the_limit(spare: int, settings: Settings) -> None:
    report = "x" * (BODY_MAX_BYTES - len("report=") - spare)
    response = _post(f"report={report}".encode())
    if spare < 0:
        _assert_rejected(response, 413, "too-large", settings)
        assert "256 KB" in response.text
    else:
        _assert_stored(response, report, settings)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"report=" + b"x" * 3_000_000, URLENCODED),
        (b"other=" + b"x" * 3_000_000, URLENCODED),
        (_form(_part(b"x" * 3_000_000)), MULTIPART),
        (_form(_part(b"x" * 3_000_000, more='; filename="report.txt"')), MULTIPART),
        (b'{"report": "' + b"x" * 3_000_000 + b'"}', "application/json"),
        (b"x" * 3_000_000, "text/plain"),
    ],
    ids=["urlencoded", "another field", "multipart", "file", "JSON", "plain text"],
)
def test_rejects_too_large_body(body: bytes, content_type: str, settings: Settings) -> None:
    _assert_rejected(_post(body, content_type), 413, "too-large", settings)


@pytest.mark.parametrize("length", [BODY_MAX_BYTES + 1, 3_000_000_000, 10**18])
@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART, "application/json"])
def test_rejects_too_large_content_length_unread(length: int, content_type: str, settings: Settings) -> None:
    environ: dict[str, Any] = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": str(length)}
    _assert_rejected(_post(b"", CONTENT_TYPE=content_type, **environ), 413, "too-large", settings)


@pytest.mark.parametrize("length", ["-1", "many", "1_0", "9" * 30])
def test_rejects_invalid_content_length(length: str, settings: Settings) -> None:
    environ: dict[str, Any] = {"wsgi.input": Unreadable(), "CONTENT_LENGTH": length}
    _assert_rejected(_post(b"", CONTENT_TYPE=URLENCODED, **environ), 400, "malformed", settings)


def test_rejects_incomplete_body(settings: Settings) -> None:
    requests: list[dict[str, Any]] = [
        {"wsgi.input": io.BytesIO(b"report=half a sen"), "CONTENT_LENGTH": "100"},
        {"wsgi.input": Interrupted(), "CONTENT_LENGTH": "100"},
    ]
    for environ in requests:
        _assert_rejected(_post(b"", CONTENT_TYPE=URLENCODED, **environ), 400, "incomplete", settings)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream", "nonsense", ""])
def test_rejects_other_content_types(content_type: str, settings: Settings) -> None:
    response = _post(b'{"report": "x"}', content_type)
    _assert_rejected(response, 415, "unsupported-media-type", settings)
    assert "application/x-www-form-urlencoded or multipart/form-data" in response.text, "the page says what to send"


def test_rejects_compressed_body(settings: Settings) -> None:
    response = _post(b"\x1f\x8b", HTTP_CONTENT_ENCODING="gzip")
    _assert_rejected(response, 415, "unsupported-media-type", settings)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (_part(b"never ends"), MULTIPART),
        (b"report=x", MULTIPART),
        (_form(_part(b"x")), "multipart/form-data"),
        (_form(_part(b"x")), "multipart/form-data; boundary=y"),
        (_form(b"--x\r\n\r\nno header\r\n"), MULTIPART),
        (_form(_part(b"A", headers="Content-Transfer-Encoding: base64\r\n")), MULTIPART),
        (b"report=%E9", URLENCODED + "; charset=latin-1"),
    ],
    ids=["no end", "no form", "no boundary", "another boundary", "no header", "broken base64", "not UTF-8"],
)
def test_rejects_malformed_form(body: bytes, content_type: str, settings: Settings) -> None:
    _assert_rejected(_post(body, content_type), 400, "malformed", settings)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"report=x" + b"&y=z" * 1000, URLENCODED),
        (_form(_part(b"x"), *[_part(b"z", "y")] * MAX_FIELDS), MULTIPART),
    ],
)
def test_rejects_too_many_fields(body: bytes, content_type: str, settings: Settings) -> None:
    _assert_rejected(_post(body, content_type), 400, "too-many-fields", settings)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"report=one&report=two", URLENCODED), (_form(_part(b"one"), _part(b"two")), MULTIPART)],
)
def test_rejects_several_reports(body: bytes, content_type: str, settings: Settings) -> None:
    _assert_rejected(_post(body, content_type), 400, "several-reports", settings)


@pytest.mark.parametrize("name", ["report", "attachment"])
def test_rejects_files(name: str, settings: Settings) -> None:
    body = _form(_part(b"text", "report") * (name != "report"), _part(b"text", name, more='; filename="/"'))
    _assert_rejected(_post(body, MULTIPART), 400, "file-not-accepted", settings)


@pytest.mark.parametrize(
    ("part", "content_type", "report"),
    [
        (_part("é".encode()), MULTIPART, "é"),
        (_part("é".encode("latin-1")), MULTIPART + "; charset=latin-1", "é"),
        (_part("é".encode()), MULTIPART + "; charset=bz2", "é"),
        (_part(b"+2AA-"), MULTIPART + "; charset=utf-7", "\ufffd"),
        (_part(base64.b64encode(b"x y"), headers="Content-Transfer-Encoding: base64\r\n"), MULTIPART, "x y"),
        (_part(b"x", more='; filename=""'), MULTIPART, "x"),
        (_part(b"x") + _part(b"y", "other"), MULTIPART, "x"),
    ],
    ids=["UTF-8", "Latin-1", "no charset", "surrogate", "base64", "empty file name", "other fields"],
)
def test_stores_multipart(part: bytes, content_type: str, report: str, settings: Settings) -> None:
    _assert_stored(_post(_form(part), content_type), report, settings)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", ""),
        (b"", "application/json"),
        (b"", MULTIPART),
        (b"report=", URLENCODED),
        (b"other=x", URLENCODED),
        (_form(_part(b"")), MULTIPART),
        (_form(_part(b"x", "other")), MULTIPART),
    ],
)
def test_accepts_form_without_report(body: bytes, content_type: str, settings: Settings) -> None:
    response = _post(body, content_type)
    assert response.status_code == 200 and "alert" not in response.text and "Your report is saved" not in response.text
    assert not Path(settings.FEEDBACK_FILE).exists()


@given(body=st.binary(max_size=300), content_type=st.sampled_from([URLENCODED, MULTIPART, "text/plain"]))
def test_any_bytes_get_a_truthful_answer(body: bytes, content_type: str) -> None:
    """The page says that the report is saved exactly if it is stored."""
    before = Feedback.objects.count()
    response = _post(body, content_type)
    assert response.status_code in {200, 400, 415}
    assert Feedback.objects.count() - before == ("Your report is saved" in response.text)
