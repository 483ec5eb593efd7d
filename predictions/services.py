"""Everything that changes a prediction. Page, API, old endpoints, admin and worker all come through here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import redis
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from rq.job import JobStatus

from predictions import announcements, images, queues
from predictions.models import Prediction
from predictions.refusals import Refusal
from worker.classifier import Answer, Classified, Classifier
from worker.preprocessing import UndecodableImage

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(days=1)


# --- Asking ---------------------------------------------------------------------------------------


def prediction_request(
    *,
    upload: UploadedFile[bytes],
    source: Prediction.Source,
    wait_seconds: float = 0,
    expires_after: timedelta | None = None,
) -> Prediction:
    """Accepts a picture, queues its prediction, and waits for the answer for at most `wait_seconds`.

    The prediction that comes back may still be waiting. Raises `Refusal` if the picture is not acceptable or the
    queue cannot be reached; then nothing is left behind that anybody waits for.
    """
    admitted = images.admit(upload)
    prediction = Prediction(
        id=uuid4(),
        source=source,
        file_name=(upload.name or "")[:255],
        expires_at=timezone.now() + expires_after if expires_after else None,
    )
    with announcements.listener.expect(prediction.id) as woken:
        image = images.store(admitted)
        prediction.image = image
        prediction.save(force_insert=True)
        # Only a committed row may be queued: a worker is often faster than the end of a transaction.
        transaction.on_commit(lambda: _enqueue(prediction))
        if wait_seconds <= 0:
            return prediction
        return _wait(prediction.id, woken, wait_seconds)


def prediction_wait(prediction: Prediction, seconds: float) -> Prediction:
    """The prediction as it is once it has settled, or after `seconds`. Raises nothing."""
    if not prediction.is_waiting or seconds <= 0:
        return prediction
    with announcements.listener.expect(prediction.id) as woken:
        woken.set()  # it may have settled before we began to listen: look once at once
        return _wait(prediction.id, woken, seconds)


def _wait(prediction_id: UUID, woken: threading.Event, seconds: float) -> Prediction:
    deadline = time.monotonic() + seconds
    while True:
        in_time = woken.wait(deadline - time.monotonic())
        woken.clear()
        prediction = Prediction.objects.select_related("image").get(pk=prediction_id)
        if not in_time or not prediction.is_waiting:
            return prediction


def _enqueue(prediction: Prediction) -> None:
    try:
        queues.enqueue(str(prediction.id))
    except redis.RedisError as error:
        logger.exception("Could not queue prediction %s.", prediction.id)
        message = "The queue cannot be reached. Please try again in a moment."
        _settle([prediction.id], Prediction.State.FAILED, error_code=Prediction.QUEUE_UNAVAILABLE, error=message)
        raise Refusal(Prediction.QUEUE_UNAVAILABLE, message, status=503) from error


def prediction_cancel(prediction: Prediction) -> bool:
    """Cancels a prediction that no worker has taken up yet. Whether it was cancelled: a running one goes on."""
    cancelled = (
        Prediction.objects.filter(pk=prediction.pk, state=Prediction.State.QUEUED).update(
            state=Prediction.State.CANCELLED, finished_at=timezone.now()
        )
        == 1
    )
    if cancelled:
        announcements.announce([prediction.pk])
    return cancelled


# --- Answering ------------------------------------------------------------------------------------


def predictions_answer(prediction_ids: Sequence[UUID], classifier: Classifier) -> None:
    """Classifies what still waits among these predictions: one query, one forward pass, one transaction.

    What was cancelled, has expired or is already answered is left out. A picture that cannot be decoded fails alone.
    Raises whatever keeps the batch as a whole from being answered (no database, a broken engine); then all of them
    still wait, and the batch can be tried again.
    """
    waiting = _take_up(prediction_ids)
    if not waiting:
        return
    classified = classifier.classify([_read(prediction) for prediction in waiting])
    settled = _record(waiting, classified, model_version=str(classifier.version))
    announcements.announce(settled)


def _take_up(prediction_ids: Sequence[UUID]) -> list[Prediction]:
    """Marks those that still wait as running and returns them; those whose time is over expire here."""
    now = timezone.now()
    waiting = list(Prediction.objects.waiting().filter(pk__in=prediction_ids).select_related("image"))
    expired = [prediction.pk for prediction in waiting if prediction.is_expired_at(now)]
    if expired:
        _settle(expired, Prediction.State.EXPIRED, error_code="expired", error="Nobody waited any longer.")
        waiting = [prediction for prediction in waiting if prediction.pk not in expired]
    running = [prediction.pk for prediction in waiting]
    Prediction.objects.waiting().filter(pk__in=running).update(state=Prediction.State.RUNNING, started_at=now)
    return waiting


def _read(prediction: Prediction) -> bytes | Exception:
    """The stored bytes of its image. A file that cannot be read fails its own prediction, not the batch."""
    try:
        with prediction.image.file.open("rb") as file:
            content: bytes = file.read()
            return content
    except OSError as error:
        return error


def _record(predictions: Sequence[Prediction], classified: Classified, *, model_version: str) -> list[UUID]:
    """Writes all answers in one transaction. The ids of those that settled here, and not elsewhere before."""
    now = timezone.now()
    settled = []
    with transaction.atomic():
        for prediction, answer in zip(predictions, classified.answers, strict=True):
            values = _columns(answer) | {
                "model_version": model_version,
                "finished_at": now,
                "decode_ms": round(classified.decode_seconds * 1000, 2),
                "compute_ms": round(classified.compute_seconds * 1000, 2),
            }
            if Prediction.objects.waiting().filter(pk=prediction.pk).update(**values):
                settled.append(prediction.pk)
    return settled


def _columns(answer: Answer | Exception) -> dict[str, object]:
    if isinstance(answer, Answer):
        top = [[label, round(score, 6)] for label, score in answer.top]
        return {"state": Prediction.State.DONE, "label": answer.label, "score": answer.score, "top": top}
    if isinstance(answer, UndecodableImage):
        logger.info("A picture could not be decoded: %s", answer)
        return {"state": Prediction.State.FAILED, "error_code": answer.code, "error": str(answer)[:500]}
    logger.error("A picture could not be classified.", exc_info=answer)
    return {"state": Prediction.State.FAILED, **failure_columns(answer)}


def failure_columns(error: BaseException | str) -> dict[str, str]:
    """What a prediction says of a failure that was ours: the details are in the log, not on the page."""
    name = error if isinstance(error, str) else type(error).__name__
    return {"error_code": Prediction.CLASSIFICATION_FAILED, "error": f"The picture could not be classified ({name})."}


def predictions_fail(prediction_ids: Iterable[UUID], error: BaseException | str) -> None:
    """Gives up on these predictions, where they still wait, and tells whoever waits for them."""
    _settle(list(prediction_ids), Prediction.State.FAILED, **failure_columns(error))


def _settle(prediction_ids: list[UUID], state: Prediction.State, *, error_code: str, error: str) -> None:
    Prediction.objects.waiting().filter(pk__in=prediction_ids).update(
        state=state, error_code=error_code, error=error, finished_at=timezone.now()
    )
    announcements.announce(prediction_ids)


# --- Recovering -----------------------------------------------------------------------------------


def predictions_recover(*, older_than: timedelta, at_most: int = 1000) -> int:
    """Queues again what waits in the database but not in the queue. How many were.

    The database is what was promised; the queue can lose its memory (a power cut between two writes of its
    append-only file, a flushed server). A job that failed for good without being able to say so, because the database
    was away just then, counts as lost. What was stopped by hand in the queue, or has been tried like this for a day,
    is given up. Raises `redis.RedisError` if the queue cannot be reached.
    """
    before: datetime = timezone.now() - older_than
    waiting = Prediction.objects.waiting().filter(created_at__lt=before).order_by("created_at")
    rows = list(waiting.values_list("pk", "created_at")[:at_most])
    statuses = queues.job_statuses([str(prediction_id) for prediction_id, _ in rows])
    lost, given_up = [], []
    for prediction_id, created_at in rows:
        status = statuses[str(prediction_id)]
        too_old = created_at < timezone.now() - GIVE_UP_AFTER
        if status in queues.GIVEN_UP or (status == JobStatus.FAILED and too_old):
            given_up.append(prediction_id)
        elif status is None or status == JobStatus.FAILED:
            lost.append(prediction_id)
    for prediction_id in lost:
        queues.enqueue(str(prediction_id))
    if given_up:
        predictions_fail(given_up, "given up by the queue")
    if lost or given_up:
        logger.warning("Recovery: %d predictions queued again, %d given up.", len(lost), len(given_up))
    return len(lost)
