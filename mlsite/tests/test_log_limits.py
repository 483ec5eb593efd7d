"""The same failure is logged once a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.db import OperationalError
from django.test import Client

from mlsite import health, log_limits, logs


@pytest.fixture
def lines() -> Iterator[Callable[[], list[str]]]:
    """Returns a function that returns the lines that a handler with the filter has written since its last call."""
    written: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.extend(self.format(record).split("\n"))

    def taken() -> list[str]:
        result = list(written)
        written.clear()
        return result

    handler = Handler()
    handler.setFormatter(logs.text_lines())
    handler.addFilter(log_limits.FailureFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield taken
    root.removeHandler(handler)


def _fail(error: Exception, message: str = "Could not store %s.") -> None:
    try:
        raise error
    except Exception:
        logging.getLogger("test").exception(message, "something")


def _fail_elsewhere(error: Exception) -> None:
    try:
        raise error
    except Exception:
        logging.getLogger("test").exception("Could not store %s.", "something")


def test_logs_a_failure_once_a_minute(lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        _fail(OSError(28, f"No space left on device: {number}"))
    first = lines()
    assert sum("Could not store something." in line for line in first) == 1
    assert first[-1] == "    OSError: [Errno 28] No space left on device: 0"
    monkeypatch.setattr(log_limits, "SECONDS", 0)
    _fail(OSError(28, "No space left on device"))
    assert "[left_out=99]" in lines()[0]


def test_logs_other_failures(lines: Callable[[], list[str]]) -> None:
    _fail(OSError())
    _fail(ValueError())
    _fail(OSError(), "Another message: %s")
    _fail_elsewhere(OSError())
    assert sum(" ERROR test: " in line for line in lines()) == 4


def test_limits_exceptions_in_messages_and_events(lines: Callable[[], list[str]]) -> None:
    for _ in range(3):
        logging.getLogger("test").warning("Cannot read the queue: %s", ConnectionError("refused"))
        structlog.get_logger("test").error("request_failed", error=OperationalError("locked"))
    assert len(lines()) == 2


def test_passes_what_reports_no_failure(lines: Callable[[], list[str]]) -> None:
    for _ in range(3):
        logging.getLogger("test").warning("Login failed: %s", "grace")
        structlog.get_logger("test").info("request_finished", code=200)
    assert len(lines()) == 6


def test_forgets_kinds(lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_limits, "MAX_KINDS", 10)
    monkeypatch.setattr(log_limits, "SECONDS", -1)
    log_filter = log_limits.FailureFilter()
    for number in range(100):
        log_filter.filter(logging.makeLogRecord({"name": "test", "msg": f"{number}: %s", "args": (OSError(),)}))
    assert len(log_filter._seen) <= 10


@pytest.mark.django_db
def test_an_outage_is_logged_without_a_traceback(
    lines: Callable[[], list[str]], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise OperationalError("connection refused\nFAKE")

    monkeypatch.setattr(health, "states", away)
    client.raise_request_exception = False
    for _ in range(5):
        assert client.get("/readyz").status_code == 503
    (line,) = lines()
    assert "request_failed" in line and r"error=connection refused\nFAKE" in line


def test_a_rejected_request_is_logged_without_a_traceback(lines: Callable[[], list[str]], client: Client) -> None:
    assert client.get("/", headers={"Host": "bad\x1b[31mhost"}).status_code == 400
    found = lines()
    assert any("Invalid HTTP_HOST header" in line for line in found)
    assert not any("Traceback" in line for line in found) and all(line.isprintable() for line in found)


def test_a_form_with_too_many_fields_is_logged_without_a_traceback(
    lines: Callable[[], list[str]], client: Client
) -> None:
    fields = {str(number): "" for number in range(2000)}
    response = client.post("/api/feedback", fields)
    assert (response.status_code, response.json()["code"]) == (400, "too-many-fields")
    assert [line for line in lines() if "request_finished" not in line] == []
