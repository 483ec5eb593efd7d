"""Telling those who wait that a prediction has settled.

Workers announce settled predictions on one Redis channel. Each web process listens to it with one thread, which wakes
the request that waits for that prediction. An announcement is a wake-up call and nothing more: the row is the truth,
so a call that is missed costs time, never an answer.
"""

import json
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

import redis

from predictions import queues

logger = logging.getLogger(__name__)

CHANNEL = "predictions:settled"
HEALTH_CHECK_SECONDS = 15
RECONNECT_SECONDS = 0.5


def announce(prediction_ids: Iterable[UUID]) -> None:
    """Says that these predictions have settled: one round trip for all of them.

    A failure is logged and not raised: the answers are already in the database.
    """
    ids = [str(prediction_id) for prediction_id in prediction_ids]
    if not ids:
        return
    try:
        queues.connection().publish(CHANNEL, json.dumps(ids))
    except redis.RedisError:
        logger.exception("Could not announce %d settled predictions; whoever waits will read the row.", len(ids))


class Listener:
    """One thread that hears all announcements and wakes the requests that wait for them."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process = 0

    @contextmanager
    def expect(self, prediction_id: UUID) -> Iterator[threading.Event]:
        """An event that is set when the prediction may have settled.

        Enter this before the prediction can settle, or read the row once after entering.
        """
        self._ensure_listening()
        event, key = threading.Event(), str(prediction_id)
        with self._lock:
            self._waiting[key].add(event)
        try:
            yield event
        finally:
            with self._lock:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    def _ensure_listening(self) -> None:
        with self._lock:
            if self._process == os.getpid() and self._thread is not None and self._thread.is_alive():
                return
            self._process = os.getpid()  # a forked process has inherited the object but not the thread
            self._waiting.clear()
            self._thread = threading.Thread(target=self._listen_for_ever, name="announcements", daemon=True)
            self._thread.start()

    def _listen_for_ever(self) -> None:
        while True:
            try:
                self._listen()
            except redis.RedisError as error:
                logger.warning("Lost the announcements (%s); listening again.", error)
            except Exception:
                logger.exception("The listener stumbled; listening again.")
            time.sleep(RECONNECT_SECONDS)

    def _listen(self) -> None:
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
                    # Subscribed, perhaps anew: whatever was said before this moment was not heard.
                    self._wake_all()

    def _wake(self, prediction_ids: Iterable[str]) -> None:
        with self._lock:
            for prediction_id in prediction_ids:
                for event in self._waiting.get(prediction_id, ()):
                    event.set()

    def _wake_all(self) -> None:
        with self._lock:
            for events in self._waiting.values():
                for event in events:
                    event.set()


listener = Listener()
