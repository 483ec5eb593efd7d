"""Keeps a worker registered in Redis: its entry, its heartbeat, and the commands that it listens for."""

from __future__ import annotations

import time
from typing import Any

import redis
from rq import worker_registration
from rq.utils import as_text, utcformat

from worker.rq_batch import metrics
from worker.rq_batch.heartbeat import TTL_SECONDS, Heartbeat
from worker.rq_batch.liveness import host_identity
from worker.rq_batch.outages import is_outage
from worker.rq_batch.recording import RecordingWorker

SUSPENSION_SECONDS = 1  # between two questions whether workers are suspended
COMMANDS_PAUSE_SECONDS = 2  # after an error of the thread that listens for commands


class RegisteredWorker(RecordingWorker):
    """The part of a `BatchWorker` that keeps its entry in Redis."""

    _heartbeat: Heartbeat
    _rate: metrics.Rate
    _suspension_checked_at = 0.0

    def facts(self) -> dict[str, str]:
        """Returns more fields for the worker's entry in Redis. None by default."""
        return {}

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Registers the worker, and starts its heartbeat. Waits during an outage."""
        super().bootstrap(*args, **kwargs)
        self._heartbeat.start()

    def register_birth(self) -> None:
        """Registers the worker. Waits during an outage."""

        def register() -> None:
            if not self._is_registered():  # if only the reply was lost, RQ would take the entry for another worker's
                super(RegisteredWorker, self).register_birth()  # type: ignore[no-untyped-call]

        self._outages.retry(register)

    def _is_registered(self) -> bool:
        if self.birth_date is None:
            return False
        birth = self.connection.hget(self.key, "birth")
        return birth is not None and as_text(birth) == utcformat(self.birth_date)

    def subscribe(self) -> None:
        """Listens for commands. Waits during an outage."""
        self._outages.retry(super().subscribe)

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Writes the worker's state. Waits during an outage, unless a pipeline writes it."""
        if pipeline is None:
            self._outages.retry(lambda: super(RegisteredWorker, self).set_state(state))
        else:
            super().set_state(state, pipeline)

    def teardown(self) -> None:
        """Stops the heartbeat, then removes the worker's registration: a later beat would register it again."""
        self._heartbeat.stop()
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            self.log.warning("Worker %s: could not remove its registration (%s); it expires", self.name, error)

    def serialize(self) -> dict[str, Any]:
        """Returns all fields of the worker's entry in Redis."""
        extra = {"host": host_identity(), "rate": round(self._rate.value, 2), "metrics": metrics.published()}
        if self._shutdown_requested_date:
            extra["shutdown_requested_date"] = utcformat(self._shutdown_requested_date)
        return {**super().serialize(), **extra, **self.facts()}

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Writes a heartbeat, unless the heartbeat thread does so anyway."""
        if pipeline is not None or not self._heartbeat.is_running:
            self._beat(pipeline)

    def _beat(self, pipeline: Any = None) -> None:
        """Writes the worker's whole entry.

        RQ writes most fields only once, when the worker starts. A worker whose entry was lost (its machine was
        suspended, or the queue server was emptied) would go on working, and count as dead from then on.
        """
        if pipeline is None:
            with self.connection.pipeline() as own:
                self._beat(own)
                own.execute()
            return
        super().heartbeat(TTL_SECONDS, pipeline)
        if self.birth_date is not None:
            pipeline.hset(self.key, mapping=self.serialize())
            worker_registration.register(self, pipeline)

    def check_for_suspension(self, burst: bool) -> None:
        """Waits while workers are suspended (`rq suspend`). Asks Redis at most once a second, not before each batch."""
        if time.monotonic() - self._suspension_checked_at < SUSPENSION_SECONDS:
            return
        try:
            super().check_for_suspension(burst)
        except redis.RedisError as error:
            if not is_outage(error):
                raise
            self._outages.log.failed(error)  # the worker waits when it takes its next batch
        self._suspension_checked_at = time.monotonic()

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        """Keeps the thread that listens for commands alive. RQ ends it after most errors."""
        if is_outage(exc):
            self._outages.log.failed(exc)
        else:
            self.log.error("Worker %s: a command cannot be carried out: %r", self.name, exc)
        time.sleep(COMMANDS_PAUSE_SECONDS)
