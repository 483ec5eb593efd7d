"""Recovers predictions whose jobs were lost, by queueing them again."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone
from rq.job import JobStatus

from predictions import queues
from predictions.answering import predictions_fail
from predictions.models import Prediction

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(days=1)  # a prediction whose job keeps failing then fails too


def predictions_recover(*, older_than: timedelta, at_most: int = 1000) -> int:
    """Queues predictions again that wait in the database but have no job in the queue. Returns their number.

    The database is authoritative. The queue loses jobs if the power is cut before its append-only file is written, or
    if the server is flushed. A job that cannot be read counts as lost. So does a failed job whose row still waits: the
    database was away when its failure should have been recorded. Predictions fail here if their job was stopped or
    cancelled in the queue, or if their job failed and they are more than a day old. Raises `redis.RedisError` if the
    queue cannot be reached.
    """
    now = timezone.now()
    waiting = Prediction.objects.waiting().filter(created_at__lt=now - older_than).order_by("created_at")
    rows = list(waiting.values_list("pk", "created_at")[:at_most])
    if not rows:
        return 0
    statuses = queues.job_statuses([str(prediction_id) for prediction_id, _ in rows])
    lost, given_up = [], []
    for prediction_id, created_at in rows:
        status = statuses[str(prediction_id)]
        is_too_old = created_at < now - GIVE_UP_AFTER
        if status in queues.GIVEN_UP or (status == JobStatus.FAILED.value and is_too_old):
            given_up.append(prediction_id)
        elif status is None or status == JobStatus.FAILED.value:
            lost.append(str(prediction_id))
    if lost:
        queues.delete_jobs(lost)
        queues.enqueue(*lost)
    if given_up:
        predictions_fail(given_up, "given up by the queue")
    if lost or given_up:
        logger.warning("Recovery: %d predictions queued again, %d given up.", len(lost), len(given_up))
    return len(lost)
