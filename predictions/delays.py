"""Tells whether answers are delayed, so that a page can say so before and while people wait."""

from __future__ import annotations

import logging
import threading
import time

import redis
from django.db import DatabaseError
from django.utils import timezone

from predictions import queues
from predictions.models import Prediction
from worker.rq_batch.liveness import live_workers

logger = logging.getLogger(__name__)

DELAYED_SECONDS = 30  # a prediction that has waited longer is late
REFRESH_SECONDS = 5


class Delay:
    """Why answers are delayed, at most five seconds old. An empty `reason` means that they are not.

    One request refreshes it for all others, which use the earlier reason meanwhile: a refresh costs one query and two
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
        if not any(worker.facts.get("model") for worker in live_workers(queues.queue())):
            return "No worker is ready."
        oldest = Prediction.objects.waiting().order_by("created_at").values_list("created_at", flat=True).first()
    except redis.RedisError as error:
        logger.warning("The queue cannot be read: %s", error)
        return "The queue cannot be reached."
    except DatabaseError as error:
        logger.warning("The database cannot be read: %s", error)
        return "The database cannot be reached."
    waited = (timezone.now() - oldest).total_seconds() if oldest else 0
    return f"The oldest picture in the queue has waited for {waited:.0f} s." if waited > DELAYED_SECONDS else ""
