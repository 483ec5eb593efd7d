"""The job that the queue of exports holds, and what becomes of it when it fails."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from uuid import UUID

import redis
from django.db import InterfaceError, OperationalError, close_old_connections
from rq.job import Job

from learning.datasets import services
from worker.rq_batch import batched

logger = logging.getLogger(__name__)

# Set when the worker of this process is to end: an export may take hours, and nobody waits for so long.
stopping = threading.Event()


@batched(max_size=1)
def write_export(arguments: list[tuple[str]]) -> list[None]:
    """Writes one queued export, given by its id. Marked as batched for the sake of what a batch worker does then: it
    puts back into the queue what it was stopped in, and its heartbeat knows how long it may take.
    """
    close_old_connections()  # after a database error: the next try begins with a new connection
    ((export_id,),) = arguments
    try:
        services.export_write(UUID(export_id), is_stopping=stopping.is_set)
    except services.Stopped:
        raise SystemExit from None
    return [None]


def record_failure(
    job: Job,
    _connection: redis.Redis,
    _kind: type[BaseException],
    error: BaseException,
    _traceback: TracebackType | None,
) -> None:
    """RQ calls this each time the job fails; the export fails with its last try, unless there was no database."""
    if job.should_retry:
        logger.warning("Export %s failed (%s) and is tried again.", job.id, type(error).__name__)
        return
    if isinstance(error, OperationalError | InterfaceError):
        # As for predictions: it is away for longer than all tries take. `exports_recover` finds the export again.
        logger.warning("Export %s waits for the database: %s", job.id, error)
        return
    logger.error("Export %s failed for good.", job.id, exc_info=error)
    services.exports_fail([UUID(job.id)], services.UNEXPECTED.format(what=type(error).__name__))
