"""Waits while the queue server cannot work: it is away, starts, is full or read-only, or fails over.

Such an error says nothing about the jobs. A worker waits for the end of the outage, and neither ends nor fails a job.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import TypeVar

import redis

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.1
# Short enough for a supervisor that waits for the worker to stop, and for people who wait for the end of the outage.
LONGEST_PAUSE_SECONDS = 5.0
# How much longer a worker that was asked to stop tries to record the jobs that it has run.
STOP_SECONDS = 5.0

# `UNBLOCKED`: the server ends a blocking command because it has just become a replica.
_CODES = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
    "WRONGPASS",
)
# The code begins the message. Older servers put the message of a script, and redis-py that of a pipeline, into another.
_CODE = re.compile(rf"(?:^|[ -])(?:{'|'.join(_CODES)}) ")

# redis-py removes the code from the messages of these errors.
_CLASSES = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.TryAgainError,
)

T = TypeVar("T")


def is_outage(error: BaseException) -> bool:
    """Returns whether the error says that the queue server cannot work at the moment."""
    if isinstance(error, _CLASSES):
        return True
    return isinstance(error, redis.ResponseError) and bool(_CODE.search(str(error)))


class OutageLog:
    """Logs the beginning and the end of an outage, and not each attempt in between."""

    def __init__(self, who: str, to: logging.Logger = logger) -> None:
        self._who = who
        self._logger = to
        self._since: float | None = None

    def failed(self, error: BaseException) -> None:
        """Logs the error if it begins an outage."""
        if self._since is None:
            self._since = time.monotonic()
            self._logger.error(
                "%s: the queue server cannot work (%s: %s); waiting for it", self._who, _name(error), error
            )

    def succeeded(self) -> None:
        """Logs that the outage is over, if there was one."""
        since, self._since = self._since, None
        if since is not None:
            self._logger.warning("%s: the queue server works again, after %.0f s", self._who, time.monotonic() - since)


class OutageWait:
    """Pauses and repetitions of one worker during outages.

    Args:
        connection: its idle connections are closed after each failure, because the address may lead to another server
            by then.
        log: what to log to.
        is_stopping: whether the worker was asked to stop.
    """

    def __init__(self, connection: redis.Redis, log: OutageLog, is_stopping: Callable[[], bool]) -> None:
        self._connection = connection
        self._is_stopping = is_stopping
        self._pause = FIRST_PAUSE_SECONDS
        self.log = log

    def retry(self, operation: Callable[[], T]) -> T:
        """Returns the result of `operation`. Repeats it during an outage, however long that takes.

        `operation` must tolerate that it has run and only its reply was lost. Raises the outage's error if the worker
        is to stop and the outage goes on for `STOP_SECONDS`.
        """
        give_up_at: float | None = None
        while True:
            try:
                result = operation()
            except redis.RedisError as error:
                if not is_outage(error):
                    raise
                self.log.failed(error)
                if self._is_stopping():
                    give_up_at = give_up_at or time.monotonic() + STOP_SECONDS
                    if time.monotonic() >= give_up_at:
                        raise
                self.pause()
            else:
                self.succeeded()
                return result

    def pause(self) -> None:
        """Sleeps, longer after each failure. A worker that is to stop sleeps for a moment only."""
        self._connection.connection_pool.disconnect(inuse_connections=False)
        end = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
            if self._is_stopping():
                return

    def succeeded(self) -> None:
        """Makes the next pause short again.

        Logs nothing: a server that accepts no writes may still answer. The heartbeat, which writes, finds the end.
        """
        self._pause = FIRST_PAUSE_SECONDS


def _name(error: BaseException) -> str:
    return type(error).__name__
