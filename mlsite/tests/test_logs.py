"""What is logged, and the id that ties it together."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from structlog.contextvars import bound_contextvars, clear_contextvars

from mlsite import logs
from predictions.admission import backpressure
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier
from tests.running import eventually


@pytest.fixture(autouse=True)
def no_context() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything, as JSON, formatted where and when it is logged."""
    caplog.handler.setFormatter(logs.json_lines())
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="rq.worker")  # `rqworker` in a test before may have made it quieter
    return caplog


def _parsed(lines: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.text.splitlines()]


def test_an_id_comes_back(client: Client) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"
    made_up = client.get("/healthz").headers["X-Request-ID"]
    assert len(made_up) == 32
    assert client.get("/healthz").headers["X-Request-ID"] != made_up


@pytest.mark.parametrize("bad", ["", "x" * 65, "two words", "line\tbreak", '{"a": 1}', "é"])
def test_an_id_that_could_pass_for_something_else_is_replaced(client: Client, bad: str) -> None:
    assert len(client.get("/healthz", headers={"X-Request-ID": bad}).headers["X-Request-ID"]) == 32


def test_refusals_for_want_of_room_are_not_logged(
    client: Client, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_limits: Any) -> None:
        raise RequestRejected("busy", "Full.", status=503)

    monkeypatch.setattr(backpressure, "require_capacity", full)
    assert client.post("/api/predict").status_code == 503
    assert lines.text == ""


def test_one_line_for_a_request(client: Client, lines: pytest.LogCaptureFixture) -> None:
    client.get("/healthz")
    assert lines.text == ""
    client.get("/nowhere", headers={"X-Request-ID": "lost"})
    (line,) = [line for line in _parsed(lines) if line["logger"] == "mlsite.requests"]
    assert (line["method"], line["path"], line["status"], line["request_id"]) == ("GET", "/nowhere", 404, "lost")
    assert line["event"].startswith("GET /nowhere 404 in ")
    assert line["duration_ms"] > 0
    # What Django itself says of it belongs to it too.
    assert {line["request_id"] for line in _parsed(lines)} == {"lost"}


def test_from_the_request_to_the_worker(
    worker: FakeClassifier, client: Client, lines: pytest.LogCaptureFixture, coffee_file: SimpleUploadedFile
) -> None:
    headers = {"X-Request-ID": "through-all"}
    assert client.post("/api/predict", {"file": coffee_file}, headers=headers).json()["success"] is True
    prediction = Prediction.objects.get()

    def said_by(logger: str) -> list[dict[str, Any]]:
        ours = [line for line in _parsed(lines) if line.get("request_id") == "through-all"]
        return [line for line in ours if line["logger"] == logger]

    (by_web,) = said_by("mlsite.requests")
    assert by_web["prediction"] == str(prediction.id)
    (by_worker,) = eventually(lambda: said_by("rq.worker"), "the worker's line, which comes after the answer", 20)
    assert "1 jobs in" in by_worker["event"]


@pytest.mark.django_db(transaction=True)
def test_a_batch_names_all_its_requests(
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


def _record(**changes: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "some.library", "levelname": "ERROR", "msg": "not\n%s", "args": ("good",), **changes}
    )


def test_json_is_one_line_with_the_traceback_in_it() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        record = _record(exc_info=(ValueError, error, error.__traceback__))
    with bound_contextvars(request_id="r"):
        text = logs.json_lines().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert line["event"] == "not\ngood"
    assert (line["level"], line["logger"], line["request_id"]) == ("error", "some.library", "r")
    assert "ValueError: broken" in line["exception"]
    assert line["timestamp"].endswith("Z")


def test_text_has_its_context_in_brackets() -> None:
    assert logs.Lines().format(_record()).endswith("ERROR some.library: not\ngood")
    with bound_contextvars(request_ids=["a", "b"]):
        assert logs.Lines().format(_record()).endswith("good [request_ids=a,b]")
