"""Request logging, and the two formats of log lines (`LOG_FORMAT`).

Each line carries the bound context: the request's id and the id of the prediction that the request asked for.
"""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware
from structlog.contextvars import bind_contextvars, clear_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from mlsite import probes
from mlsite.outages import outage
from predictions import request_ids

HEADER = "X-Request-ID"

# A client's id goes into logs, Redis and a header: only a short one in plain characters is accepted.
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)

logger = structlog.get_logger(__name__)


class RequestLogMiddleware(RequestMiddleware):
    """django-structlog's middleware, and the `X-Request-ID` header in both directions."""

    def prepare(self, request: HttpRequest) -> None:
        """Binds only the id: to bind the user would cost a query. Logs nothing yet: each request gets one line."""
        request._started = time.perf_counter()  # type: ignore[attr-defined]
        clear_contextvars()  # a stream that was not read to its end leaves its context in the thread
        given = request.headers.get(HEADER, "")
        bind_contextvars(request_id=given if _ACCEPTED_ID.fullmatch(given) else str(uuid4()))

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        response.headers[HEADER] = request_ids.current()
        # A full queue rejects thousands of requests a second: a line for each would take time from the others.
        is_overload = response.status_code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        # Monitoring sends probes every few seconds, and reports their failures itself.
        if is_overload or request.path in probes.PATHS:
            clear_contextvars()
            return
        elapsed = time.perf_counter() - request._started  # type: ignore[attr-defined]
        bind_contextvars(duration_ms=round(elapsed * 1000, 1))
        file = getattr(response, "file_to_stream", None)
        super().handle_response(request, response)
        if file:  # the base class has replaced the file by a generator, which the web server cannot send by itself
            response.file_to_stream = file  # type: ignore[attr-defined]

    def _process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Logs an outage in one line: a traceback shows only where the request noticed it."""
        if outage(exception) is None:
            super()._process_exception(request, exception)
        else:
            logger.error("request_failed", code=503, request=self.format_request(request), error=exception)

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Leaves out the query string, which may hold what people typed."""
        return f"{request.method} {request.path}"


def drop_streaming_events(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keeps one line for each request: django-structlog also logs that a streamed response starts and finishes."""
    if event["event"] in {"streaming_started", "streaming_finished"}:
        raise structlog.DropEvent
    return event


def add_left_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Adds how many records of the same kind were left out before this one (see `mlsite.log_limits`)."""
    if left_out := getattr(event.get("_record"), "left_out", 0):
        event["left_out"] = left_out
    return event


def text_lines() -> structlog.stdlib.ProcessorFormatter:
    """One line for each event, and the traceback, if there is one, indented below it."""
    return _formatter(_text_line)


def json_lines() -> structlog.stdlib.ProcessorFormatter:
    """One JSON object for each event: `timestamp`, `level`, `logger`, `event`, and the context."""
    return _formatter(structlog.processors.JSONRenderer(default=str))


def _formatter(renderer: Processor) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            add_left_out,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso"),
            renderer,
        ]
    )


def _text_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    head = f"{event.pop('timestamp')} {event.pop('level').upper()} {event.pop('logger')}: {event.pop('event')}"
    traceback = event.pop("exception", "").splitlines()
    context = " ".join(f"{name}={_joined(value)}" for name, value in event.items())
    lines = [f"{head} [{context}]" if context else head, *(f"    {line}" for line in traceback)]
    return "\n".join(map(_escaped, lines))


def _joined(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _escaped(line: str) -> str:
    """Escapes unprintable characters: a path or a message from outside must not forge a line or move the cursor."""
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in line)
