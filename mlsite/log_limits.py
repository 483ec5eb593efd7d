"""Limits how often the same failure is logged.

When a disk is full or the database is away, every request and every job fails in the same way. The first line says it
all, and thousands more per minute hide the others and fill the disk.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

SECONDS = 60.0
MAX_KINDS = 1000

Kind = tuple[object, ...]


@dataclass
class _Seen:
    """When a kind of failure was logged last, and how many more there have been since."""

    at: float
    left_out: int = 0


class FailureFilter(logging.Filter):
    """Passes one record per minute for each kind of failure. Passes every record that reports no exception.

    Records are of one kind if they have the same logger, the same message before its arguments are filled in, and an
    exception of the same type from the same line of code. The next record that passes says how many were left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: dict[Kind, _Seen] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security"):  # a request that Django rejects: no defect, so no traceback
            record.exc_info = None
        exception = _exception(record)
        if exception is None:
            return True
        message = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        kind = (record.name, message, type(exception), _origin(exception.__traceback__))
        now = time.monotonic()
        with self._lock:
            seen = self._seen.get(kind)
            if seen is not None and now - seen.at < SECONDS:
                seen.left_out += 1
                return False
            if len(self._seen) >= MAX_KINDS:
                self._seen = {kind: seen for kind, seen in self._seen.items() if now - seen.at < SECONDS}
            self._seen[kind] = _Seen(now)
        record.left_out = seen.left_out if seen else 0
        return True


def _exception(record: logging.LogRecord) -> BaseException | None:
    """Returns the exception that a record reports, as its traceback or in its message."""
    found: Any = record.exc_info
    values: Iterable[Any] = record.args.values() if isinstance(record.args, dict) else record.args or ()
    if isinstance(record.msg, dict):  # an event of structlog
        values = record.msg.values()
        found = found or record.msg.get("exc_info")
    if found is True:
        found = sys.exc_info()
    in_traceback = [found[1]] if isinstance(found, tuple) else [found]
    return next((value for value in [*in_traceback, *values] if isinstance(value, BaseException)), None)


def _origin(traceback: TracebackType | None) -> tuple[str, int] | None:
    """Returns the line of code that raised the exception."""
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
