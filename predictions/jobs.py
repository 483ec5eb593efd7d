"""The RQ job that answers predictions, and its failure callback."""

import logging
from collections.abc import Sequence
from types import TracebackType
from uuid import UUID

import redis
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from rq.job import Job

from predictions import answering, classifiers, queues, request_ids
from worker.rq_batch import batched

logger = logging.getLogger(__name__)


@batched(max_size=settings.BATCH_MAX_SIZE, max_wait=settings.BATCH_MAX_WAIT_MS / 1000)
def classify(arguments: list[tuple[str]]) -> list[ValueError | None]:
    """Answers queued predictions, given by their ids. The answers go to the rows, not to the queue.

    A job whose arguments are damaged fails alone.
    """
    close_old_connections()  # a connection that an error broke is replaced before the next attempt
    found = [_prediction_id(values) for values in arguments]
    answering.predictions_answer([found_id for found_id in found if isinstance(found_id, UUID)], classifiers.current())
    return [None if isinstance(found_id, UUID) else found_id for found_id in found]


def _prediction_id(arguments: Sequence[object]) -> UUID | ValueError:
    try:
        (prediction_id,) = arguments
        return UUID(str(prediction_id))
    except ValueError as error:
        return error


def record_failure(
    job: Job,
    _connection: redis.Redis,
    _kind: type[BaseException],
    error: BaseException,
    _traceback: TracebackType | None,
) -> None:
    """Marks the prediction as failed after its last attempt. RQ calls this each time the job fails."""
    with request_ids.logged_for([job]):
        if job.should_retry:
            logger.warning("Prediction %s failed (%s) and will be retried.", job.id, type(error).__name__)
            return
        if isinstance(error, OperationalError | InterfaceError):
            # A restarting database is away for longer than all attempts take. That is no fault of the picture: its
            # prediction keeps waiting until `predictions_recover` queues it again.
            logger.warning("Prediction %s waits for the database: %s", job.id, error)
            return
        logger.error("Prediction %s failed for good.", job.id, exc_info=error)
    answering.predictions_fail(queues.job_uuids([job.id]), error)
