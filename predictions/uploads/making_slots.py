"""Bounds the requests for which files are made from pictures."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from predictions.admission.client_slots import ClientSlots
from predictions.exceptions import RequestRejected

WAITING_SHARE = 4  # of the threads of the web server, one in so many may wait for a file of one kind
CLIENT_SHARE = 0.5  # of them, for one client


@dataclass(frozen=True)
class MakingSlots:
    """Lets one thread of the process make a file at a time, because making one takes a core.

    The requests that wait for theirs hold threads, so their number is bounded.
    """

    _making: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _waiting: ClientSlots = field(default_factory=ClientSlots, repr=False)

    @contextmanager
    def acquire(self, client: str = "") -> Iterator[None]:
        """Waits until nothing else is made.

        `client` is the network of the client that asks (see `client_address`), if it may have a share only. Raises
        `RequestRejected` `busy` if too many requests wait.
        """
        most = settings.WEB_THREADS // WAITING_SHARE
        share = CLIENT_SHARE * most if client else math.inf
        with self._waiting.acquire(client, per_client=share, in_total=most) as acquired:
            if not acquired:
                raise RequestRejected("busy", "Too many pictures are being prepared.", status=503, retry_after=2)
            with self._making:
                yield
