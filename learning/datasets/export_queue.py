"""The queue that exports wait in: one of their own, so that no prediction waits for them."""

from __future__ import annotations

from uuid import UUID

import django_rq
from rq import Callback, Queue, Retry

from predictions import queues, request_ids
from worker.rq_batch.liveness import live_workers

NAME = "exports"
TIMEOUT = 6 * 3600  # seconds: a million pictures, on a slow disk

_RETRY = Retry(max=queues.ATTEMPTS - 1)
_ON_FAILURE = Callback("learning.datasets.jobs.record_failure")


def queue() -> Queue:
    """On the connection of the predictions' queue, which has bounded patience with a server that is not there."""
    return django_rq.get_queue(NAME, connection=queues.connection(), commit_mode="auto")


def enqueue(export_id: UUID) -> None:
    """Puts an export into the queue, under its own id. Raises `redis.RedisError` if the queue cannot be reached."""
    queue().enqueue(
        "learning.datasets.jobs.write_export",
        args=(str(export_id),),
        job_id=str(export_id),
        meta=request_ids.meta(request_ids.current()),
        job_timeout=TIMEOUT,
        retry=_RETRY,
        on_failure=_ON_FAILURE,
        result_ttl=queues.RESULT_TTL,
        failure_ttl=queues.FAILURE_TTL,
        description=f"export {export_id}",
    )


def is_attended() -> bool:
    """Whether a worker is there that takes exports. Raises `redis.RedisError` if the queue cannot be reached."""
    return bool(live_workers(queue()))
