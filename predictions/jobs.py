"""The job that the queue holds, and what becomes of it when it fails."""

import logging
from types import TracebackType
from uuid import UUID

import redis
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from rq.job import Job

from predictions import answering, classifiers, request_ids
from worker.rq_batch import batched

logger = logging.getLogger(__name__)


@batched(max_size=settings.BATCH_MAX_SIZE, max_wait=settings.BATCH_MAX_WAIT_MS / 1000)
def classify(arguments: list[tuple[str]]) -> list[None]:
    """Answers queued predictions, each given by its id. The answers go to their rows, not into the queue."""
    close_old_connections()  # after a database error: the next try begins with a new connection
    answering.predictions_answer([UUID(prediction_id) for (prediction_id,) in arguments], classifiers.current())
    return [None] * len(arguments)


def record_failure(
    job: Job,
    _connection: redis.Redis,
    _kind: type[BaseException],
    error: BaseException,
    _traceback: TracebackType | None,
) -> None:
    """RQ calls this each time the job fails; the prediction fails with its last try, unless there was no database."""
    with request_ids.logged_for([job]):
        if job.should_retry:
            logger.warning("Prediction %s failed (%s) and is tried again.", job.id, type(error).__name__)
            return
        if isinstance(error, OperationalError | InterfaceError):
            # A database that is started again is away for longer than all tries take. It is no fault of the picture,
            # which waits until `predictions_recover` finds it.
            logger.warning("Prediction %s waits for the database: %s", job.id, error)
            return
        logger.error("Prediction %s failed for good.", job.id, exc_info=error)
    answering.predictions_fail([UUID(job.id)], error)
