"""Log lines and request ids."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from devtools.running import eventually
from mlsite import health, logs
from predictions.admission import backpressure
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier

REQUEST_LOGGER = "django_structlog.middlewares.request"


@pytest.fixture(autouse=True)
def no_context() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All log lines, as JSON, formatted where and when they are logged."""
    caplog.handler.setFormatter(logs.json_lines())
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="rq.worker")  # `rqworker` in a test before may have made it quieter
    return caplog


def _parsed(lines: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.text.splitlines()]


def _returned_id(client: Client, **headers: str) -> str:
    return client.get("/healthz", headers=headers).headers["X-Request-ID"]


def test_returns_the_given_request_id_or_a_new_one(client: Client) -> None:
    assert _returned_id(client, **{"X-Request-ID": "abc-123"}) == "abc-123"
    new = _returned_id(client)
    assert len(new) == 36
    assert _returned_id(client) != new


@pytest.mark.parametrize("bad", ["", "x" * 65, "two words", "line\tbreak", '{"a": 1}', "é"])
def test_replaces_an_unacceptable_request_id(client: Client, bad: str) -> None:
    assert len(_returned_id(client, **{"X-Request-ID": bad})) == 36


def test_does_not_log_rejections_by_a_full_queue(
    client: Client, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_limits: Any) -> None:
        raise RequestRejected("busy", "Full.", status=503)

    monkeypatch.setattr(backpressure, "require_capacity", full)
    assert client.post("/api/predict").status_code == 503
    assert lines.text == ""


def test_logs_one_line_for_a_request(client: Client, lines: pytest.LogCaptureFixture) -> None:
    client.get("/healthz")
    assert lines.text == ""
    client.get("/nowhere?secret", headers={"X-Request-ID": "lost"})
    (line,) = _parsed(lines)
    assert (line["event"], line["request"], line["code"]) == ("request_finished", "GET /nowhere", 404)
    assert (line["request_id"], line["logger"]) == ("lost", REQUEST_LOGGER)
    assert line["duration_ms"] > 0


def test_logs_one_line_for_a_streamed_response(lines: pytest.LogCaptureFixture, rf: RequestFactory) -> None:
    response: Any = StreamingHttpResponse([b"a", b"b"])
    middleware = logs.RequestLogMiddleware(lambda _request: response)
    middleware(rf.get("/file"))
    assert b"".join(response) == b"ab"
    assert [line["event"] for line in _parsed(lines)] == ["request_finished"]


def test_unfinished_stream_leaves_nothing_to_the_next_request_of_its_thread(
    lines: pytest.LogCaptureFixture, rf: RequestFactory
) -> None:
    def stream(_request: HttpRequest) -> Any:
        bind_contextvars(prediction="streamed")
        return StreamingHttpResponse([b"a", b"b"])

    response: Any = logs.RequestLogMiddleware(stream)(rf.get("/file"))
    assert next(iter(response)) == b"a"
    logs.RequestLogMiddleware(lambda _request: HttpResponse())(rf.get("/next"))
    assert ["prediction" in line for line in _parsed(lines)] == [True, False]
    response.close()


def test_logs_a_failure_once_with_its_traceback(
    client: Client, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "states", lambda: 1 / 0)
    client.raise_request_exception = False
    response = client.get("/readyz", headers={"X-Request-ID": "broken"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (500, "broken")
    (line,) = _parsed(lines)
    assert (line["event"], line["request_id"]) == ("request_failed", "broken")
    assert "ZeroDivisionError" in line["exception"]


def test_request_id_reaches_the_lines_of_the_worker(
    worker: FakeClassifier, client: Client, lines: pytest.LogCaptureFixture, coffee_file: SimpleUploadedFile
) -> None:
    headers = {"X-Request-ID": "through-all"}
    assert client.post("/api/predict", {"file": coffee_file}, headers=headers).json()["success"] is True
    prediction = Prediction.objects.get()

    def logged_by(logger: str) -> list[dict[str, Any]]:
        ours = [line for line in _parsed(lines) if line.get("request_id") == "through-all"]
        return [line for line in ours if line["logger"] == logger]

    (by_web,) = logged_by(REQUEST_LOGGER)
    assert by_web["prediction"] == str(prediction.id)
    (by_worker,) = eventually(lambda: logged_by("rq.worker"), "the worker's line, which comes after the answer", 20)
    assert "1 jobs in" in by_worker["event"]


@pytest.mark.django_db(transaction=True)
def test_batch_line_names_all_request_ids(
    queue: object,
    fake_classifier: FakeClassifier,
    client: Client,
    lines: pytest.LogCaptureFixture,
    work_off,
    coffee_file,
) -> None:
    for name in ("first", "second"):
        coffee_file.seek(0)
        headers = {"X-Request-ID": name, "Prefer": "respond-async"}
        assert client.post("/api/predict", {"file": coffee_file}, headers=headers).status_code == 202
    clear_contextvars()
    work_off()
    (line,) = [line for line in _parsed(lines) if "2 jobs in" in line["event"]]
    assert line["request_ids"] == ["first", "second"]


def _record(message: str, **changes: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "some.library", "levelname": "ERROR", "msg": message, **changes})


def _failure(message: str) -> logging.LogRecord:
    try:
        raise ValueError(message)
    except ValueError as error:
        return _record("failed", exc_info=(ValueError, error, error.__traceback__))


def test_json_is_one_line_that_holds_the_traceback() -> None:
    with bound_contextvars(request_id="r"):
        text = logs.json_lines().format(_failure("broken"))
    assert "\n" not in text
    line = json.loads(text)
    assert (line["event"], line["level"], line["logger"], line["request_id"]) == (
        "failed",
        "error",
        "some.library",
        "r",
    )
    assert "ValueError: broken" in line["exception"]
    assert line["timestamp"].endswith("Z")


def test_text_shows_the_context_in_brackets() -> None:
    assert logs.text_lines().format(_record("good")).endswith(" ERROR some.library: good")
    with bound_contextvars(request_ids=["a", "b"]):
        assert logs.text_lines().format(_record("good")).endswith("good [request_ids=a,b]")


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/%0aFAKE", r"/\nFAKE"), ("/%1b%5b31mred", r"/\x1b[31mred"), ("/%e2%80%aedesrever", r"/\u202edesrever")],
)
def test_text_escapes_control_characters_of_a_path(
    client: Client, caplog: pytest.LogCaptureFixture, path: str, shown: str
) -> None:
    caplog.handler.setFormatter(logs.text_lines())
    client.get(path)
    (line,) = caplog.text.removesuffix("\n").split("\n")
    assert f"request=GET {shown}" in line
    assert line.isprintable()


def test_text_indents_tracebacks_so_that_messages_cannot_forge_lines() -> None:
    first, *others = logs.text_lines().format(_failure("broken\nFAKE\x1b[31m")).split("\n")
    assert first.endswith("failed")
    assert all(line.startswith("    ") for line in others)
    assert others[-1] == r"    FAKE\x1b[31m"
