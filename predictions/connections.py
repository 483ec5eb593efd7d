"""The connection of the client whose request this thread handles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ClientConnection:
    """Tells the thread that handles a request when the client has closed the connection."""

    def __init__(self) -> None:
        self.is_closed = False
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None

    def close(self) -> None:
        """Notes that the client has gone, and wakes the thread if it waits. Called by the web server."""
        with self._lock:
            self.is_closed = True
            if self._wake:
                self._wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Calls `wake` if the connection is closed before the end of the `with` block."""
        with self._lock:
            self._wake = wake
            if self.is_closed:
                wake()
        try:
            yield
        finally:
            with self._lock:
                self._wake = None


_thread = threading.local()


def set_current(connection: ClientConnection) -> None:
    _thread.connection = connection


def current() -> ClientConnection:
    """Returns the connection of this thread's request. Without a web server that tells, it is one that stays open."""
    connection: ClientConnection = getattr(_thread, "connection", None) or ClientConnection()
    return connection
