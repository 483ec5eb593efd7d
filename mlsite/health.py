"""`/healthz`: the process is alive. `/readyz`: the site can classify a picture now."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import redis
from django.conf import settings
from django.db import OperationalError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions import classifiers, queues
from worker.rq_batch.liveness import live_workers

logger = logging.getLogger(__name__)

LOCK_MILLISECONDS = 1000
PROBE_KEY = "predictions:probe"


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answers 200 if all parts are ready; otherwise 503, with the reason for each part."""
    parts = states()
    ready = all(part == "ok" for part in parts.values())
    return JsonResponse({"status": "ok" if ready else "not ready", **parts}, status=200 if ready else 503)


def states() -> dict[str, str]:
    """Maps each part to `ok` or to the reason why it is not ready."""
    found = {name: _state(check) for name, check in CHECKS.items()}
    # The workers are listed in the queue: a queue server that hangs is asked only once.
    return found | {"worker": _state(_worker) if found["queue"] == "ok" else "unknown: the queue is not ready"}


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - this page reports all faults of a part
        logger.warning("Not ready: %s", error)
        return f"unreachable ({type(error).__name__})"
    return "ok"


class NotReady(Exception):
    """A part answers, but is not ready. The message is public: it must not hold secrets."""


def _database() -> None:
    """Requires that rows can be written: a database that is locked, or a standby server, still answers reads."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            _require_write_lock(cursor)
            return
        cursor.execute("SHOW transaction_read_only")
        if cursor.fetchone() != ("off",):
            raise NotReady("read-only")


def _require_write_lock(cursor: Any) -> None:
    """Takes SQLite's write lock and releases it. Raises `NotReady` if another process holds it for too long."""
    if connection.in_atomic_block:  # it has the lock
        return
    cursor.execute(f"PRAGMA busy_timeout = {LOCK_MILLISECONDS}")
    try:
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")
    except OperationalError as error:
        raise NotReady(str(error)) from error
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {settings.DATABASE_LOCK_SECONDS * 1000}")


def _queue() -> None:
    """Writes a key: a full server or a replica still answers reads."""
    try:
        queues.connection().set(PROBE_KEY, "", ex=60)
    except redis.ResponseError as error:
        raise NotReady(f"refuses writes ({type(error).__name__})") from error


def _storage() -> None:
    """Writes a file: permissions alone do not reveal a full disk or a read-only mount."""
    probe = settings.MEDIA_ROOT / f".{uuid4().hex}.part"
    probe.parent.mkdir(parents=True, exist_ok=True)
    try:
        probe.write_bytes(b"ready?")
    finally:
        probe.unlink(missing_ok=True)


def _worker() -> None:
    """Requires a worker that can answer. After an activation, the earlier version answers while the new one loads."""
    if not classifiers.active_name():
        raise NotReady("no model is active")
    if not any(worker.facts.get("model") for worker in live_workers(queues.queue())):
        raise NotReady("no live worker has a model loaded")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "queue": _queue,
    "storage": _storage,
}
