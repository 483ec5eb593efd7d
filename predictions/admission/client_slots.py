"""A bound on what one client does at once, so that it cannot exhaust what all clients share."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class ClientSlots:
    """Counts what is in progress, by client. Clients whose address is not known count as one, the empty string."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_use: Counter[str] = Counter()

    @contextmanager
    def acquire(self, client: str, *, per_client: float = math.inf, in_total: float = math.inf) -> Iterator[bool]:
        """Yields whether the client may do one more thing. It counts until the end of the `with` block."""
        with self._lock:
            acquired = self._in_use[client] < per_client and self._in_use.total() < in_total
            self._in_use[client] += acquired
        try:
            yield acquired
        finally:
            with self._lock:
                self._in_use[client] -= acquired
                if not self._in_use[client]:
                    del self._in_use[client]

    def number(self, client: str) -> int:
        return self._in_use[client]
