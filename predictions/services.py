"""Everything that changes a prediction. Page, API, old endpoints, admin and worker all come through here."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from rq.job import JobStatus

from predictions import announcements, metrics, queues
from predictions.admission import backpressure
from predictions.group_commit import intake
from predictions.models import Prediction
from predictions.signals import Answered, answered
from predictions.uploads import validation as images
from worker.inference.classifier import BatchResult, Classification, Classifier
from worker.inference.preprocessing import UndecodableImage

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

    The prediction that comes back may still be waiting. Raises `RequestRejected` if the picture is not acceptable,
    too many wait already, or the queue cannot be reached; then nothing is left behind that anybody waits for.
    """
    with backpressure.place_to_wait(wait_seconds):
        with intake.coming():
            admitted = images.admit(upload)
            prediction = Prediction(
                id=uuid4(),
                source=source,
                file_name=(upload.name or "")[:255],
                expires_at=timezone.now() + expires_after if expires_after else None,
            )
            image = images.store(admitted)
            del upload, admitted  # hundreds of requests may wait below: the picture is on the disk now
        with announcements.listener.expect(prediction.id) as woken:
            intake.accept(prediction, image)
            if wait_seconds <= 0 or not prediction.is_waiting:
                return prediction
            return _wait(prediction, woken, wait_seconds)


def prediction_wait(prediction_id: UUID, seconds: float) -> Prediction:
    """The prediction as it is once it has settled, or after `seconds`. Raises `Prediction.DoesNotExist`.

    Does not wait where too many do so already: what is asked for is there now, if only as a prediction that waits.
    """
    # Listening comes first: what settles after the row was read is heard, and nothing need be read twice.
    with announcements.listener.expect(prediction_id) as woken:
        prediction = Prediction.objects.get(pk=prediction_id)
        if not prediction.is_waiting:
            return prediction
        with backpressure.waiting_room.place() as has_place:
            return _wait(prediction, woken, seconds) if has_place else prediction


def _wait(prediction: Prediction, woken: announcements.Call, seconds: float) -> Prediction:
    deadline = time.monotonic() + seconds
    while True:
        in_time = woken.wait(deadline - time.monotonic())
        woken.clear()
        if woken.news:
            return _with_news(prediction, woken.news)
        prediction = Prediction.objects.get(pk=prediction.pk)
        if not in_time or not prediction.is_waiting:
            return prediction


def _with_news(prediction: Prediction, columns: Mapping[str, Any]) -> Prediction:
    """The prediction with what an announcement said of its row."""
    for column, value in columns.items():
        setattr(prediction, column, datetime.fromisoformat(value) if column in _MOMENTS and value else value)
    return prediction


_MOMENTS = frozenset({"started_at", "finished_at"})


def prediction_cancel(prediction: Prediction) -> bool:
    """Cancels a prediction that no worker has taken up yet. Whether it was cancelled: a running one goes on."""
    cancelled = (
        Prediction.objects.filter(pk=prediction.pk, state=Prediction.State.QUEUED).update(
            state=Prediction.State.CANCELLED, finished_at=timezone.now()
        )
        == 1
    )
    if cancelled:
        announcements.announce({prediction.pk: None})
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
    classified = classifier.classify([_read(prediction.file_name) for prediction in waiting])
    metrics.observe(classified)
    settled = _record(waiting, classified, model_version=str(classifier.version))
    announcements.announce(settled)


@dataclass(frozen=True)
class _TakenUp:
    """What the answering needs of a row; a whole model instance would cost more than all the rest of it."""

    id: UUID
    sha256: str
    file_name: str
    started_at: datetime


def _take_up(prediction_ids: Sequence[UUID]) -> list[_TakenUp]:
    """Marks those that still wait as running and returns them; those whose time is over expire here."""
    now = timezone.now()
    found = Prediction.objects.waiting().filter(pk__in=prediction_ids).order_by("created_at")
    rows = list(found.values_list("pk", "image__sha256", "image__file", "expires_at"))
    expired = [pk for pk, *_, expires_at in rows if expires_at is not None and expires_at <= now]
    if expired:
        _settle(expired, Prediction.State.EXPIRED, error_code="expired", error="Nobody waited any longer.")
    waiting = [_TakenUp(pk, sha256, file, now) for pk, sha256, file, _expires_at in rows if pk not in expired]
    running = [prediction.id for prediction in waiting]
    Prediction.objects.waiting().filter(pk__in=running).update(state=Prediction.State.RUNNING, started_at=now)
    return waiting


def _read(file_name: str) -> bytes | Exception:
    """The stored bytes of an image. A file that cannot be read fails its own prediction, not the batch."""
    try:
        with default_storage.open(file_name, "rb") as file:
            content: bytes = file.read()
            return content
    except OSError as error:
        return error


def _record(
    predictions: Sequence[_TakenUp], classified: BatchResult, *, model_version: str
) -> dict[UUID, Mapping[str, Any]]:
    """Writes all answers in one transaction. What was written, of those that settled here and not elsewhere before."""
    now = timezone.now()
    answers: dict[UUID, dict[str, Any]] = {}
    for number, prediction in enumerate(predictions):
        answers[prediction.id] = _columns(classified.answers[number]) | {
            "model_version": model_version,
            "started_at": prediction.started_at,
            "finished_at": now,
            "decode_ms": round(classified.decode_seconds[number] * 1000, 2),
            "compute_ms": round(classified.compute_seconds[number] * 1000, 2),
        }
    with transaction.atomic():
        settled = set(Prediction.objects.waiting().update_each(answers))
        answered.send(
            None,
            answers=[
                Answered(prediction.id, prediction.sha256, answer.label, answer.score)
                for prediction, answer in zip(predictions, classified.answers, strict=True)
                if prediction.id in settled and isinstance(answer, Classification)
            ],
        )
    return {prediction_id: answers[prediction_id] for prediction_id in settled}


def _columns(answer: Classification | Exception) -> dict[str, Any]:
    """The same columns for every answer, so that one statement writes all of them."""
    if isinstance(answer, Classification):
        top = [[label, round(score, 6)] for label, score in answer.top]
        done = {"state": Prediction.State.DONE.value, "label": answer.label, "score": answer.score, "top": top}
        return done | {"error_code": "", "error": ""}
    if isinstance(answer, UndecodableImage):
        logger.info("A picture could not be decoded: %s", answer)
        failure = {"error_code": answer.code, "error": str(answer)[:500]}
    else:
        logger.error("A picture could not be classified.", exc_info=answer)
        failure = failure_columns(answer)
    return {"state": Prediction.State.FAILED.value, "label": "", "score": None, "top": [], **failure}


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
    announcements.announce(dict.fromkeys(prediction_ids))


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
    if lost:
        queues.enqueue(*map(str, lost))
    if given_up:
        predictions_fail(given_up, "given up by the queue")
    if lost or given_up:
        logger.warning("Recovery: %d predictions queued again, %d given up.", len(lost), len(given_up))
    return len(lost)
