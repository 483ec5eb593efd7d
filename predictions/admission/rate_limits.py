"""Bounds the requests of one client in a minute.

The requests are counted in the memory of this web process: a count in Redis would cost every request a round trip.
"""

from __future__ import annotations

import math
import threading
import time

from django.conf import settings
from django.http import HttpRequest

from predictions.client_address import client_network
from predictions.exceptions import RequestRejected

TOO_MANY_REQUESTS = "too-many-requests"
MINUTE = 60


class RateLimit:
    """A token bucket for each client: it holds the requests of a minute, and refills within a minute.

    `setting` names the setting with the number of requests; 0 turns the limit off.
    """

    def __init__(self, setting: str) -> None:
        self._setting = setting
        self._lock = threading.Lock()
        # The tokens of each client and when it last asked, the client that has not asked for longest first.
        self._buckets: dict[str, tuple[float, float]] = {}

    def require(self, request: HttpRequest) -> None:
        """Raises `RequestRejected` `too-many-requests` if the client has sent too many.

        Clients without a known address cannot be told apart, and are not limited.
        """
        most: int = getattr(settings, self._setting)
        client = client_network(request) if most else ""
        if not client:
            return
        now = time.monotonic()
        with self._lock:
            tokens, asked_at = self._buckets.pop(client, (float(most), now))
            tokens = min(most, tokens + (now - asked_at) * most / MINUTE)
            is_allowed = tokens >= 1
            self._buckets[client] = (tokens - is_allowed, now)
            self._forget_full_buckets(now)
        if not is_allowed:
            retry_after = math.ceil((1 - tokens) * MINUTE / most)
            message = f"Your address has sent too many requests. Please try again in {retry_after} s."
            raise RequestRejected(TOO_MANY_REQUESTS, message, status=429, retry_after=retry_after)

    def _forget_full_buckets(self, now: float) -> None:
        while now - self._buckets[oldest := next(iter(self._buckets))][1] >= MINUTE:
            del self._buckets[oldest]

    def reset(self) -> None:
        with self._lock:
            self._buckets.clear()


predictions = RateLimit("RATE_LIMIT_PREDICTIONS")
feedback = RateLimit("RATE_LIMIT_FEEDBACK")
labels = RateLimit("RATE_LIMIT_LABELS")
