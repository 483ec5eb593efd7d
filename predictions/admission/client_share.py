"""Bounds how many predictions and requests of one client may wait, so that it leaves room for all others.

The predictions are those that this web process has accepted. They are counted in its memory: announcements, which
every web process receives anyway, say when they settle.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from django.conf import settings
from django.db import Error as DatabaseError

from predictions.admission import backpressure
from predictions.admission.client_slots import ClientSlots
from predictions.exceptions import RequestRejected
from predictions.models import Prediction

logger = logging.getLogger(__name__)

TOO_MANY_WAITING = "too-many-waiting"

# The part of what the workers can answer in time, of the wait slots, and of the disk space for bodies, that one client
# may use.
CLIENT_SHARE = 0.5

# How often the count of a client that has reached its limit is compared with the database.
VERIFY_SECONDS = 1
_VERIFY_AT_ONCE = 500  # ids in one query

RETRY_SECONDS_IF_RATE_UNKNOWN = 10


class WaitingPredictions:
    """The ids of the predictions that wait, by client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_client: defaultdict[str, set[str]] = defaultdict(set)
        self._clients: dict[str, str] = {}  # by prediction
        self._verified_at: dict[str, float] = {}  # by client, `time.monotonic`

    @contextmanager
    def counted(self, client: str, prediction: Prediction) -> Iterator[None]:
        """Counts a prediction while the block queues it and from then on, unless the block raises or answers it."""
        self.add(client, str(prediction.id))
        try:
            yield
        except BaseException:
            self.remove([str(prediction.id)])
            raise
        if not prediction.is_waiting:
            self.remove([str(prediction.id)])

    def add(self, client: str, prediction_id: str) -> None:
        """Counts a prediction as waiting. A client without a known address is not counted."""
        if client:
            with self._lock:
                self._by_client[client].add(prediction_id)
                self._clients[prediction_id] = client

    def remove(self, prediction_ids: Iterable[str]) -> None:
        """Takes settled predictions off the counts. Ids of other web processes have no effect."""
        with self._lock:
            for prediction_id in prediction_ids:
                client = self._clients.pop(prediction_id, "")
                if not client:
                    continue
                self._by_client[client].discard(prediction_id)
                if not self._by_client[client]:
                    del self._by_client[client]
                    self._verified_at.pop(client, None)

    def number(self, client: str) -> int:
        return len(self._by_client.get(client, ()))

    def verify(self, client: str) -> None:
        """Removes what has settled without an announcement that arrived, at most once a second for each client."""
        now = time.monotonic()
        with self._lock:
            if now - self._verified_at.get(client, -math.inf) < VERIFY_SECONDS:
                return
            self._verified_at[client] = now
            ids = iter(tuple(self._by_client.get(client, ())))
        try:
            while some := list(islice(ids, _VERIFY_AT_ONCE)):
                waiting = Prediction.objects.waiting().filter(pk__in=some).values_list("pk", flat=True)
                self.remove(set(some) - {str(pk) for pk in waiting})
        except DatabaseError as error:
            logger.warning("Cannot count the waiting predictions of a client: %s", error)

    def reset(self) -> None:
        with self._lock:
            self._by_client.clear()
            self._clients.clear()
            self._verified_at.clear()


waiting = WaitingPredictions()
in_progress = ClientSlots()  # requests that submit a prediction or wait for one


def require_share(client: str, *, holds_thread: bool = False) -> None:
    """Raises `RequestRejected` `too-many-waiting` if as many predictions of the client wait as may wait.

    `holds_thread` says that the request will wait for its answer itself. As many of them may be in progress as half of
    the wait slots.
    """
    if not client or not settings.QUEUE_MAX_WAITING_PER_CLIENT:
        return
    if holds_thread and in_progress.number(client) > _wait_slots():
        message = "Too many requests from your address are waiting. Please try again in 1 s."
        raise RequestRejected(TOO_MANY_WAITING, message, status=429, retry_after=1)
    limit = _limit()
    if waiting.number(client) < limit:
        return
    waiting.verify(client)
    if waiting.number(client) < limit:
        return
    # A tenth of the client's predictions are answered then, if nobody else's are.
    rate = backpressure.load.rate
    retry_after = max(1, math.ceil(limit / 10 / rate)) if rate else RETRY_SECONDS_IF_RATE_UNKNOWN
    message = f"{limit} predictions from your address are waiting. Please try again in {retry_after} s."
    raise RequestRejected(TOO_MANY_WAITING, message, status=429, retry_after=retry_after)


@contextmanager
def hold_wait_slot(client: str) -> Iterator[bool]:
    """Yields whether the client may wait for one more prediction that was submitted before: whether a slot is free."""
    most = _wait_slots() if client and settings.QUEUE_MAX_WAITING_PER_CLIENT else math.inf
    with in_progress.acquire(client, per_client=most) as has_share:
        if not has_share:
            yield False
            return
        with backpressure.wait_slots.acquire() as acquired:
            yield acquired


def _wait_slots() -> int:
    """Returns how many wait slots one client may use."""
    return max(1, int(CLIENT_SHARE * backpressure.wait_slots.limit))


def _limit() -> int:
    """Returns how many predictions of one client may wait.

    If the rate of the workers is known, it is at most half of what they can answer in time. The other half is left to
    clients that wait for their answers.
    """
    most: int = settings.QUEUE_MAX_WAITING_PER_CLIENT
    backpressure.load.refresh()
    in_time = backpressure.load.rate * backpressure.QUEUE_SHARE * settings.PREDICT_WAIT_SECONDS
    if not in_time:
        return most
    batch: int = settings.BATCH_MAX_SIZE
    return min(most, max(batch, int(CLIENT_SHARE * in_time)))
