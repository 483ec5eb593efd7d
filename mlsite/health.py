"""`/healthz`: the process is alive. `/readyz`: the site can classify a picture now."""

import logging
from collections.abc import Callable
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions import classifiers, queues
from worker.rq_batch.liveness import live_workers

logger = logging.getLogger(__name__)


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
    return {name: _state(check) for name, check in CHECKS.items()}


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
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _queue() -> None:
    queues.connection().ping()


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
    "worker": _worker,
}
