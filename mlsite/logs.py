"""What is logged, as lines for people or as JSON for machines (`LOG_FORMAT`), and one line for each request.

Every line carries what it belongs to: the request's id, and the prediction that it asked for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from predictions import request_ids

logger = logging.getLogger("mlsite.requests")

# Asked every few seconds by machines, which tell of trouble themselves.
NOT_LOGGED = ("/healthz", "/readyz", "/metrics")


def request_log(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: the first of all, so that everything else happens inside."""

    def middleware(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        clear_contextvars()  # of the request before, in the same thread
        request_id = request_ids.accepted_or_new(request.headers.get(request_ids.HEADER))
        bind_contextvars(request_id=request_id)
        response = get_response(request)
        response.headers[request_ids.HEADER] = request_id
        # Refusals for want of room come by the thousand a second: a line for each would take time from the pages.
        if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE and not request.path.startswith(NOT_LOGGED):
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            logger.info(
                "%s %s %s in %s ms",
                request.method,
                request.path,
                response.status_code,
                milliseconds,
                extra={"status": response.status_code, "method": request.method, "path": request.path}
                | {"duration_ms": milliseconds},
            )
        return response

    return middleware


class Lines(logging.Formatter):
    """Time, level, logger, message; and in brackets what it belongs to."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        context = " ".join(f"{name}={_short(value)}" for name, value in get_contextvars().items())
        return super().formatMessage(record) + (f" [{context}]" if context else "")


def _short(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def json_lines() -> structlog.stdlib.ProcessorFormatter:
    """One JSON object a line, whoever logs: `timestamp`, `level`, `logger`, `event`, and what it belongs to."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=["status", "method", "path", "duration_ms"]),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
