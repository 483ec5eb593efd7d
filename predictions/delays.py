"""Tells whether answers are delayed, so that a page can say so before and while people wait."""

from __future__ import annotations

import logging
import threading
import time

import redis
from rq import Queue
from rq.job import Job
from rq.utils import as_text, now, utcparse

from predictions import queues
from worker.rq_batch.liveness import live_workers

logger = logging.getLogger(__name__)

QUEUE_UNREACHABLE = "The queue cannot be reached."
DELAYED_SECONDS = 30  # a prediction that has waited longer is late
REFRESH_SECONDS = 5


class Delay:
    """Why answers are delayed, as of the last five seconds. An empty `reason` means that they are not.

    One request refreshes it for all others, which use the earlier reason meanwhile: a refresh costs four
    round trips to the queue.
    """

    def __init__(self) -> None:
        self._refreshing = threading.Lock()
        self._refreshed_at: float | None = None
        self._reason = ""

    @property
    def reason(self) -> str:
        if not self._is_fresh() and self._refreshing.acquire(blocking=False):
            try:
                self._reason = _find_reason()
                self._refreshed_at = time.monotonic()
            finally:
                self._refreshing.release()
        return self._reason

    def reset(self) -> None:
        """Forgets the reason, so that the next request finds it anew."""
        self._refreshed_at = None

    def _is_fresh(self) -> bool:
        return self._refreshed_at is not None and time.monotonic() - self._refreshed_at < REFRESH_SECONDS


delay = Delay()


def _find_reason() -> str:
    try:
        queue = queues.queue()
        if not any(worker.facts.get("model") for worker in live_workers(queue)):
            return "No worker is ready."
        waited = _seconds_waited(queue)
    except redis.RedisError as error:
        logger.warning("The queue cannot be read: %s", error)
        return QUEUE_UNREACHABLE
    return f"The next picture in the queue has waited for {waited:.0f} s." if waited > DELAYED_SECONDS else ""


def _seconds_waited(queue: Queue) -> float:
    """How long the first job of the queue has waited; 0 if there is none. Not from the database, which may be away."""
    job_id = queue.connection.lindex(queue.key, 0)
    enqueued_at = queue.connection.hget(Job.key_for(as_text(job_id)), "enqueued_at") if job_id else None
    try:
        return (now() - utcparse(as_text(enqueued_at))).total_seconds() if enqueued_at else 0.0
    except ValueError:  # a damaged job, which its worker fails
        return 0.0
