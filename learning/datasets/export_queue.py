"""The queue of exports, separate so that predictions never wait for an export."""

from __future__ import annotations

from uuid import UUID

import django_rq
import redis
from rq import Callback, Queue, Retry

from predictions import queues, request_ids
from worker.rq_batch.liveness import live_workers

NAME = "exports"
TIMEOUT = 6 * 3600  # seconds: a million pictures, on a slow disk

_RETRY = Retry(max=queues.ATTEMPTS - 1)
_ON_FAILURE = Callback("learning.datasets.jobs.record_failure")


def queue() -> Queue:
    """Returns the queue of exports. It uses the connection of the predictions' queue, which has short timeouts."""
    return django_rq.get_queue(NAME, connection=queues.connection(), commit_mode="auto")


def enqueue(export_id: UUID) -> None:
    """Queues an export; the job's id is the export's. Raises `redis.RedisError` if the queue cannot be reached."""
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


def has_worker() -> bool:
    """Whether a live worker takes exports from the queue, and the queue can be reached."""
    try:
        return bool(live_workers(queue()))
    except redis.RedisError:
        return False
