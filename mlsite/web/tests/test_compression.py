import gzip
from pathlib import Path

import pytest
from django.http import FileResponse, HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings
from whitenoise import WhiteNoise

from mlsite import preparation
from mlsite.web.compression import CompressionMiddleware

pytestmark = pytest.mark.django_db  # to close a response is to end a request

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


def _response(response: HttpResponse | FileResponse, **headers: str) -> HttpResponse | FileResponse:
    request = RequestFactory().get("/", headers=headers)
    return CompressionMiddleware(lambda _request: response)(request)  # type: ignore[return-value]


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json", "application/problem+json"])
def test_compresses_text(content_type: str) -> None:
    response = _response(HttpResponse(b"text " * 1000, content_type=content_type), **GZIP)
    assert isinstance(response, HttpResponse)
    assert gzip.decompress(response.content) == b"text " * 1000
    assert (response["Content-Encoding"], response["Vary"]) == ("gzip", "Accept-Encoding")


def test_leaves_small_text_and_pictures_as_they_are(tmp_path: Path) -> None:
    small = HttpResponse(b"x" * 1000)
    picture = HttpResponse(b"x" * 5000, content_type="image/png")
    path = tmp_path / "a.html"
    path.write_bytes(b"x" * 5000)
    for response in (small, picture, FileResponse(path.open("rb"))):
        assert "Content-Encoding" not in _response(response, **GZIP)
        response.close()


def test_leaves_text_as_it_is_for_others() -> None:
    response = _response(HttpResponse(b"x" * 5000))
    assert isinstance(response, HttpResponse)
    assert response.content == b"x" * 5000
    assert response["Vary"] == "Accept-Encoding"


def test_answers_of_the_site_are_compressed() -> None:
    response = Client().get("/api/schema", headers=GZIP)
    assert response["Content-Encoding"] == "gzip"


def test_static_files_are_compressed_when_they_are_collected(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.STATIC_ROOT = tmp_path
    text = "a { color: red }\n" * 200

    def collect(*_: object, **_options: object) -> None:
        for name in ("site.0123456789ab.css", "site.css", "photo.0123456789ab.png"):
            (tmp_path / name).write_text(text)

    monkeypatch.setattr(preparation, "call_command", collect)
    preparation.prepare_static_files(lambda _message: None)
    assert [path.name for path in tmp_path.glob("*.gz")] == ["site.0123456789ab.css.gz"]
    files = WhiteNoise(None, root=str(tmp_path), prefix="/static/").files
    response = files["/static/site.0123456789ab.css"].get_response("GET", {"HTTP_ACCEPT_ENCODING": "gzip"})
    headers = dict(response.headers)
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.file.read()).decode() == text
    response.file.close()
