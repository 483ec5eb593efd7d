"""A thread that keeps a worker's entry in Redis alive while the worker runs a job."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

import redis

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2
# A worker that has missed three beats counts as dead.
TTL_SECONDS = 8
# A job's time-out interrupts Python code only. A job that exceeds it by this much hangs in compiled code, for ever.
HANGS_AFTER_SECONDS = 15
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


class Heartbeat:
    """Calls `beat` every `BEAT_SECONDS`, and ends the process when a job hangs past its deadline."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._deadline: float | None = None

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread, and returns when its last beat is over."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def expect_end_within(self, seconds: float | None) -> None:
        """Sets the deadline of the job that starts now. `None` clears it: no job runs, or the job has no limit."""
        self._deadline = None if seconds is None else time.monotonic() + seconds + HANGS_AFTER_SECONDS

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                logger.critical("The current job hangs and cannot be interrupted: this worker ends itself.")
                os._exit(EXIT_CODE)
            try:
                self._beat()
            except redis.RedisError as error:
                logger.warning("No heartbeat: the queue server does not answer (%s).", error)
            except Exception:
                logger.exception("The heartbeat failed.")
