"""Announces settled predictions to the requests that wait for them.

Workers announce settled predictions, with their columns, on one Redis channel. One thread in each web process listens
to it and wakes the waiting requests. The database is authoritative: an announcement only saves reading the row, so a
missed one costs time, never an answer.
"""

import json
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import redis

from predictions import queues
from predictions.admission import client_share
from worker.rq_batch.outages import OutageLog, is_outage

logger = logging.getLogger(__name__)

CHANNEL = "predictions:settled"
HEALTH_CHECK_SECONDS = 15
RECONNECT_SECONDS = 0.5


def announce(settled: Mapping[UUID, Mapping[str, Any] | None]) -> None:
    """Announces these predictions with their columns, in one round trip for all of them.

    `None` in place of the columns makes waiting requests read the row. A failure is logged and not raised: the answers
    are already in the database.
    """
    if not settled:
        return
    message = {str(prediction_id): columns for prediction_id, columns in settled.items()}
    try:
        queues.connection().publish(CHANNEL, json.dumps(message, default=datetime.isoformat))
    except redis.RedisError:
        logger.exception("Could not announce %d settled predictions; waiting requests will read the row.", len(settled))


class Waiter(threading.Event):
    """Set when a prediction may have settled. `payload`: its columns, if the announcement held them."""

    payload: Mapping[str, Any] | None = None


class Listener:
    """One thread that receives all announcements and wakes the waiting requests."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process = 0

    @contextmanager
    def expect(self, prediction_id: UUID) -> Iterator[Waiter]:
        """Yields a waiter for the prediction.

        Enter the context before the prediction can settle, or read the row once after entering.
        """
        self._ensure_listening()
        waiter, key = Waiter(), str(prediction_id)
        with self._lock:
            self._waiting[key].add(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiting[key].discard(waiter)
                if not self._waiting[key]:
                    del self._waiting[key]

    def _ensure_listening(self) -> None:
        with self._lock:
            if self._process == os.getpid() and self._thread is not None and self._thread.is_alive():
                return
            self._process = os.getpid()  # a forked process inherits the object but not the thread
            self._waiting.clear()
            self._thread = threading.Thread(target=self._listen_forever, name="announcements", daemon=True)
            self._thread.start()

    def _listen_forever(self) -> None:
        outage = OutageLog("Announcements", logger)
        while True:
            try:
                self._listen(outage)
            except Exception as error:
                if is_outage(error):
                    outage.failed(error)
                else:
                    logger.exception("The listener failed; listening again.")
            time.sleep(RECONNECT_SECONDS)

    def _listen(self, outage: OutageLog) -> None:
        pool = redis.ConnectionPool(
            connection_class=queues.connection().connection_pool.connection_class,
            **{**queues.connection().connection_pool.connection_kwargs, "health_check_interval": HEALTH_CHECK_SECONDS},
        )
        with redis.Redis(connection_pool=pool) as client, client.pubsub() as pubsub:
            pubsub.subscribe(CHANNEL)
            while True:
                message = pubsub.get_message(timeout=HEALTH_CHECK_SECONDS)
                if message is None:
                    continue
                if message["type"] == "message":
                    self._wake(json.loads(message["data"]))
                else:
                    # Subscribed, perhaps again: announcements before this were missed.
                    outage.succeeded()
                    self._wake_all()

    def _wake(self, settled: object) -> None:
        """Wakes the requests that wait for these predictions. Without readable columns, they read the row."""
        if not isinstance(settled, dict):
            logger.warning("Ignored an announcement that names no predictions.")
            return
        client_share.waiting.remove(settled)
        with self._lock:
            for prediction_id, columns in settled.items():
                for waiter in self._waiting.get(prediction_id, ()):
                    waiter.payload = columns if isinstance(columns, dict) else None
                    waiter.set()

    def _wake_all(self) -> None:
        with self._lock:
            for waiters in self._waiting.values():
                for waiter in waiters:
                    waiter.set()


listener = Listener()
