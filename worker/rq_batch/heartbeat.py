"""A thread that keeps a worker's entry in Redis alive while the worker runs a job."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

from worker.rq_batch.outages import OutageLog, is_outage

logger = logging.getLogger(__name__)

BEAT_SECONDS = 2
# A worker that has missed three beats counts as dead.
TTL_SECONDS = 8
# A job's time-out interrupts Python code only. A job that exceeds it by this much hangs in compiled code, for ever.
HANGS_AFTER_SECONDS = 15
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


@contextlib.contextmanager
def end_process_after(seconds: float | None) -> Iterator[None]:
    """Ends the process if the block takes longer, and writes to standard error where it hangs. `None`: no limit.

    The exit code is 1. A thread of the interpreter watches the time: unlike a thread of Python, it also ends a process
    that hangs in compiled code which holds the interpreter's lock.
    """
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or 2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


class Heartbeat:
    """Calls `beat` every `BEAT_SECONDS`, and ends the process when a job hangs past its deadline."""

    def __init__(self, beat: Callable[[], None], log: OutageLog | None = None) -> None:
        self._beat = beat
        self._log = log or OutageLog("Heartbeat")
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
        last_failure = ""
        while not self._stopping.wait(BEAT_SECONDS):
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                logger.critical("The current job hangs and cannot be interrupted: this worker ends itself.")
                os._exit(EXIT_CODE)
            try:
                self._beat()
                self._log.succeeded()
                last_failure = ""
            except Exception as error:  # noqa: BLE001 - a worker without a heartbeat counts as dead
                if is_outage(error):
                    self._log.failed(error)
                elif repr(error) != last_failure:  # it may fail each time, every two seconds
                    last_failure = repr(error)
                    logger.exception("The heartbeat failed.")
