"""Refusing work that could not be answered in time, before any of it is read.

Two things are bounded: the queue, by its length and by the time that its workers would need for it, and the requests of
one web process that wait at the same time, each of which holds a thread.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from django.conf import settings

from predictions import queues
from predictions.exceptions import RequestRejected
from worker.rq_batch.liveness import live_workers

logger = logging.getLogger(__name__)

BUSY = "busy"
REFRESH_SECONDS = 0.5

# Of the time that somebody waits, the part that the queue may take. The rest is for what the queue's length does not
# tell: the batch at hand, the way in and out through a busy web process, and above all workers that become slower
# meanwhile. On one machine they do, by half, when those who were let in come to look for their answers.
QUEUE_SHARE = 0.5

# A result page that waits asks again after so many seconds at most.
LOOK_AGAIN_AT_MOST = 15

# Threads of the web server that are kept free of requests that wait: for pages, probes, and refusals.
FREE_THREADS = 32


class Load:
    """How much work the queue holds and how fast it is done, as of half a second ago at most.

    One request looks for all others: a look costs two round trips.
    """

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._looked_at: float | None = None
        self.length = 0
        self.rate = 0.0  # predictions per second of all live workers; 0: not known

    def refresh(self) -> None:
        if self._is_fresh() or not self._looking.acquire(blocking=False):
            return
        try:
            if self._is_fresh():
                return
            queue = queues.queue()
            self.length = queue.count
            self.rate = sum(float(worker.facts.get("rate") or 0) for worker in live_workers(queue))
            self._looked_at = time.monotonic()
        except redis.RedisError as error:
            # Whoever queues something next learns of it, and is not told that there is too much to do.
            logger.warning("Cannot look at the queue: %s", error)
            self.forget()
        finally:
            self._looking.release()

    def _is_fresh(self) -> bool:
        return self._looked_at is not None and time.monotonic() - self._looked_at < REFRESH_SECONDS

    def note_enqueued(self, number: int) -> None:
        """Counts what this process has queued since the last look. Approximately: threads may overtake each other."""
        self.length += number

    def forget(self) -> None:
        """Nothing is known; the next request looks again."""
        self._looked_at = None
        self.length, self.rate = 0, 0.0

    @property
    def wait_seconds(self) -> float:
        """How long a prediction that is queued now will wait; 0 where the rate is not known."""
        return self.length / self.rate if self.rate else 0.0


load = Load()


class WaitingRoom:
    """Counts the requests of this process that wait, and lets in no more than leave some threads free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.occupied = 0

    @property
    def size(self) -> int:
        return max(1, settings.WEB_THREADS - FREE_THREADS)

    @property
    def is_full(self) -> bool:
        return self.occupied >= self.size

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether there is a place to wait in, which is held meanwhile."""
        with self._lock:
            has_place = not self.is_full
            self.occupied += has_place
        try:
            yield has_place
        finally:
            with self._lock:
                self.occupied -= has_place


waiting_room = WaitingRoom()


class VirtualQueue:
    """When those who were refused may come again: one after the other, as fast as there is room for them.

    If a thousand are told to come in a second, they all do, for one place: then the refusals are most of the work.
    Nobody's turn is kept. Who comes later, or never, leaves room to whoever asks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end = 0.0  # when the next one may come; seconds of `time.monotonic`

    def turn(self, seconds: float, rate: float, at_most: float) -> float:
        """Seconds until the turn of one more, where there is room in `seconds` at the earliest, and then for `rate`
        predictions per second.
        """
        if not rate:
            return seconds
        now = time.monotonic()
        with self._lock:
            begins = max(self._end, now + seconds)
            if begins - now > at_most:
                return max(seconds, at_most)
            self._end = begins + 1 / rate
        return begins - now

    def forget(self) -> None:
        self._end = 0.0


virtual_queue = VirtualQueue()


def require_room(*, wait_limit: float | None, takes_place: bool = True) -> None:
    """Raises `RequestRejected` `busy` if the queue is full or an answer might take longer than `wait_limit` seconds.

    `None`: nobody waits for it. `takes_place`: the request itself will wait, so that there has to be a place for it.
    """
    load.refresh()
    if load.length >= settings.QUEUE_MAX_LENGTH:
        too_many = load.length - settings.QUEUE_MAX_LENGTH + 1
        raise _busy("The queue is full.", too_many / load.rate if load.rate else 10)
    if wait_limit is None:
        return
    if load.wait_seconds > QUEUE_SHARE * wait_limit:
        raise _busy("The queue is too long to answer in time.", load.wait_seconds - QUEUE_SHARE * wait_limit)
    if takes_place and waiting_room.is_full:
        raise _no_place()


def look_again_seconds(waited: float) -> int:
    """After how long it is worth asking again for an answer that is not there after `waited` seconds: when it should
    be, as long as the queue is now. A thousand pages that ask each second are more work than a thousand predictions.
    """
    load.refresh()
    left = max(load.wait_seconds - waited, load.wait_seconds / 5)  # it takes longer than it seemed to
    return min(LOOK_AGAIN_AT_MOST, max(1, math.ceil(left)))


@contextmanager
def place_to_wait(wait_seconds: float) -> Iterator[None]:
    """Holds a place for a request that may wait so long. Raises `RequestRejected` `busy` if there is none."""
    if wait_seconds <= 0:
        yield
        return
    with waiting_room.place() as has_place:
        if not has_place:
            raise _no_place()
        yield


def _no_place() -> RequestRejected:
    return _busy("Too many requests wait already.", 1 / load.rate if load.rate else 1)


def _busy(reason: str, seconds: float) -> RequestRejected:
    turn = virtual_queue.turn(seconds, load.rate, settings.PREDICT_WAIT_SECONDS)
    retry_after = max(1, math.ceil(turn))
    message = f"{reason} Please try again in {retry_after} s."
    return RequestRejected(BUSY, message, status=503, retry_after=retry_after)
