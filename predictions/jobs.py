"""The job that the queue holds, and what becomes of it when it fails."""

import logging
from types import TracebackType
from uuid import UUID

import redis
from django.db import close_old_connections
from rq.job import Job

from predictions import classifiers, services

logger = logging.getLogger(__name__)


def classify(prediction_id: str) -> None:
    """Answers one queued prediction. The answer goes to its row, not into the queue."""
    close_old_connections()  # after a database error: the next try begins with a new connection
    services.predictions_answer([UUID(prediction_id)], classifiers.current())


def record_failure(
    job: Job,
    _connection: redis.Redis,
    _kind: type[BaseException],
    error: BaseException,
    _traceback: TracebackType | None,
) -> None:
    """RQ calls this each time the job fails; the prediction fails with its last try."""
    if job.should_retry:
        logger.warning("Prediction %s failed (%s) and is tried again.", job.id, type(error).__name__)
        return
    logger.error("Prediction %s failed for good.", job.id, exc_info=error)
    services.predictions_fail([UUID(job.id)], error)
