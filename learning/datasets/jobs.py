"""The job that writes an export, and its failure callback."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from uuid import UUID

import redis
from django.db import InterfaceError, OperationalError, close_old_connections
from rq.job import Job

from learning.datasets import services
from predictions import queues
from worker.rq_batch import batched

logger = logging.getLogger(__name__)

# Set when the worker of this process is to stop. An export may take hours, so the worker does not wait for its end.
stopping = threading.Event()


@batched(max_size=1)
def write_export(arguments: list[tuple[str]]) -> list[None]:
    """Writes one queued export, given by its id.

    It is a batch of one: a stopped worker requeues the jobs of its batch, and the heartbeat of a batch allows for the
    job's timeout.
    """
    close_old_connections()  # a retry after a database error needs a new connection
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
    """RQ calls this each time the job fails. The last failure fails the export, unless the database was unavailable."""
    if job.should_retry:
        logger.warning("Export %s failed (%s) and is retried.", job.id, type(error).__name__)
        return
    if isinstance(error, OperationalError | InterfaceError):
        # An outage may outlast all attempts. `exports_recover` queues the export again.
        logger.warning("Export %s waits for the database: %s", job.id, error)
        return
    logger.error("Export %s failed for good.", job.id, exc_info=error)
    services.exports_fail(queues.job_uuids([job.id]), services.UNEXPECTED.format(what=type(error).__name__))
