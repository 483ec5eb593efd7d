"""Decides whether a request can be answered in time, before its body is read.

Two things are bounded. The queue is bounded by its length and by the time its workers need for it. The requests of one
web process that wait for an answer are bounded by their number, because each of them holds a thread.
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
from rq import Queue

from predictions import queues
from predictions.exceptions import RequestRejected, unavailable
from worker.rq_batch.liveness import live_workers

logger = logging.getLogger(__name__)

BUSY = "busy"
REFRESH_SECONDS = 0.5

# The part of a request's wait that the queue may use up. The rest is a reserve for what the queue's length does not
# show: the current batch, the way through a busy web process, and workers that slow down. On a single machine workers
# slow down by half when the admitted clients fetch their answers.
QUEUE_SHARE = 0.5

# The longest time between two reloads of a waiting result page.
MAX_RELOAD_SECONDS = 15

# Threads of the web server that are never used for waiting: they serve pages and rejections. Clients cannot hold them,
# because `mlsite/web/` receives bodies and sends responses without a thread.
FREE_THREADS = 32


class QueueLoad:
    """The length of the queue and the speed of its workers, at most half a second old.

    One request refreshes them for all others, because a refresh costs two round trips.
    `is_known`: whether the queue could be reached at the last refresh.
    """

    def __init__(self) -> None:
        self._refreshing = threading.Lock()
        self._refreshed_at: float | None = None
        self.is_known = True
        self.length = 0
        self.workers = 0
        self.rate = 0.0  # predictions per second of all live workers; 0 if unknown

    def refresh(self) -> None:
        if self._is_fresh() or not self._refreshing.acquire(blocking=False):
            return
        try:
            if not self._is_fresh():
                self._read()
        finally:
            self._refreshing.release()

    def _read(self) -> None:
        try:
            queue = queues.queue()
            self.length = queue.count
            self.workers, self.rate = _workers_and_rate(queue)
            self.is_known = True
        except redis.RedisError as error:
            logger.warning("Cannot read the load of the queue: %s", error)
            self.length, self.workers, self.rate, self.is_known = 0, 0, 0.0, False
        # Also after a failure: otherwise each request would wait for a queue server that hangs.
        self._refreshed_at = time.monotonic()

    def _is_fresh(self) -> bool:
        return self._refreshed_at is not None and time.monotonic() - self._refreshed_at < REFRESH_SECONDS

    def add_enqueued(self, number: int) -> None:
        """Counts what this process has queued since the last refresh. The count is approximate: it takes no lock."""
        self.length += number

    def reset(self) -> None:
        """Forgets the load, so that the next request refreshes it."""
        self._refreshed_at = None
        self.length, self.workers, self.rate, self.is_known = 0, 0, 0.0, True

    @property
    def is_full(self) -> bool:
        """Whether no further prediction may wait."""
        return self.length >= int(settings.QUEUE_MAX_LENGTH)

    @property
    def is_short(self) -> bool:
        """Whether the workers take all that waits with their next batches."""
        return self.length <= max(1, self.workers) * int(settings.BATCH_MAX_SIZE)

    @property
    def wait_seconds(self) -> float:
        """How long a prediction that is queued now will wait; 0 if the rate is unknown."""
        return self.length / self.rate if self.rate else 0.0


def _workers_and_rate(queue: Queue) -> tuple[int, float]:
    """Returns the number of live workers and what they answer together. Some of them may not know their rate yet."""
    rates = [float(worker.facts.get("rate") or 0) for worker in live_workers(queue)]
    known = [rate for rate in rates if rate]
    return len(rates), len(rates) * sum(known) / len(known) if known else 0.0


load = QueueLoad()


class WaitSlots:
    """A bounded semaphore for the requests of this process that wait for an answer.

    `threading.BoundedSemaphore` shows neither its count, which is a metric, nor whether it is exhausted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.in_use = 0

    @property
    def limit(self) -> int:
        threads: int = settings.WEB_THREADS
        return max(1, threads - FREE_THREADS)

    @property
    def is_exhausted(self) -> bool:
        return self.in_use >= self.limit

    @contextmanager
    def acquire(self) -> Iterator[bool]:
        """Yields whether a slot was free. It is held until the end of the `with` block."""
        with self._lock:
            acquired = not self.is_exhausted
            self.in_use += acquired
        try:
            yield acquired
        finally:
            with self._lock:
                self.in_use -= acquired


wait_slots = WaitSlots()


class RetryAfterSchedule:
    """Spreads the retries of rejected clients: one after the other, at the rate at which capacity becomes free.

    If a thousand clients are told to retry in one second, all of them do, for one free slot, and the process spends
    its time on rejections. Nothing is reserved: a client that does not retry leaves its slot to any other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_at = 0.0  # `time.monotonic` of the next retry

    def next(self, seconds: float, rate: float, at_most: float) -> float:
        """Returns the seconds until the next retry and advances the schedule.

        The first retry is due in `seconds`, and `rate` of them per second after that. No client is told to wait longer
        than `at_most`, unless no capacity is free before `seconds` anyway.
        """
        if not rate:
            return seconds
        now = time.monotonic()
        with self._lock:
            retry_at = max(self._next_at, now + seconds)
            if retry_at - now > at_most:
                return max(seconds, at_most)
            self._next_at = retry_at + 1 / rate
        return retry_at - now

    def reset(self) -> None:
        self._next_at = 0.0


retry_after_schedule = RetryAfterSchedule()


def require_capacity(*, wait_limit: float | None, holds_thread: bool = True) -> None:
    """Raises `RequestRejected` `busy` if the queue is full or an answer might take longer than `wait_limit` seconds.

    Raises `queue-unavailable` if the queue could not be reached at the last refresh.
    `wait_limit` is `None` if the client does not wait. `holds_thread` says that the request itself waits for the
    answer, and so needs a free wait slot.
    """
    load.refresh()
    if not load.is_known:
        raise unavailable("queue")
    if load.is_full:
        excess = load.length - settings.QUEUE_MAX_LENGTH + 1
        raise _busy("The queue is full.", excess / load.rate if load.rate else 10)
    if wait_limit is None:
        return
    if load.wait_seconds > QUEUE_SHARE * wait_limit and not load.is_short:
        raise _busy("The queue is too long to answer in time.", load.wait_seconds - QUEUE_SHARE * wait_limit)
    if holds_thread and wait_slots.is_exhausted:
        raise _no_wait_slot()


def reload_seconds(waited: float) -> int:
    """Returns the seconds after which a result page should reload. `waited`: the seconds that it has waited already.

    The answer is due then, given the present queue. A thousand pages that reload every second are more work
    than a thousand predictions.
    """
    load.refresh()
    # An overdue answer: the estimate was too low, or no worker is alive.
    left = max(load.wait_seconds - waited, load.wait_seconds / 5, waited / 4)
    return min(MAX_RELOAD_SECONDS, max(1, math.ceil(left)))


@contextmanager
def hold_wait_slot(wait_seconds: float) -> Iterator[None]:
    """Holds a wait slot for a request that waits. Raises `RequestRejected` `busy` if none is free."""
    if wait_seconds <= 0:
        yield
        return
    with wait_slots.acquire() as acquired:
        if not acquired:
            raise _no_wait_slot()
        yield


def _no_wait_slot() -> RequestRejected:
    return _busy("Too many requests are waiting.", 1 / load.rate if load.rate else 1)


def _busy(reason: str, seconds: float) -> RequestRejected:
    delay = retry_after_schedule.next(seconds, load.rate, settings.PREDICT_WAIT_SECONDS)
    retry_after = max(1, math.ceil(delay))
    message = f"{reason} Please try again in {retry_after} s."
    return RequestRejected(BUSY, message, status=503, retry_after=retry_after)
