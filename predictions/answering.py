"""Answers predictions in a worker, or records that they failed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from predictions import announcements, metrics
from predictions.embeddings import embeddings_store
from predictions.models import Prediction
from predictions.signals import Answered, answered
from predictions.stored_images import StoredImages
from worker.inference.classifier import BatchResult, Classification, Classifier
from worker.inference.preprocessing import UndecodableImage

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _StartedPrediction:
    """The columns that answering needs. A whole model instance costs more than the rest of the bookkeeping."""

    id: UUID
    image_id: int
    sha256: str
    file_name: str
    started_at: datetime


def predictions_answer(prediction_ids: Sequence[UUID], classifier: Classifier) -> None:
    """Classifies the given predictions that still wait, as one batch, and stores their answers in one transaction.

    Leaves out cancelled, expired and answered predictions. A picture that cannot be decoded fails alone. Raises any
    error that affects the whole batch, such as a lost database connection or a broken engine. All of its predictions
    then still wait, and the batch can be tried again.
    """
    started = _start(prediction_ids)
    if not started:
        return
    result = classifier.classify(StoredImages([prediction.file_name for prediction in started]))
    metrics.observe(result)
    settled = _record(started, result, classifier)
    announcements.announce(settled)


def predictions_fail(prediction_ids: Iterable[UUID], error: BaseException | str) -> None:
    """Marks the given predictions that still wait as failed, and announces them."""
    _settle(list(prediction_ids), Prediction.State.FAILED, **_failure_columns(error))


def _start(prediction_ids: Sequence[UUID]) -> list[_StartedPrediction]:
    """Marks the waiting predictions as running and returns them. Those past `expires_at` are marked as expired."""
    now = timezone.now()
    found = Prediction.objects.waiting().filter(pk__in=prediction_ids).order_by("created_at")
    rows = list(found.values_list("pk", "image_id", "image__sha256", "image__file", "expires_at"))
    expired = [pk for pk, *_, expires_at in rows if expires_at is not None and expires_at <= now]
    if expired:
        _settle(expired, Prediction.State.EXPIRED, error_code="expired", error="No worker answered it in time.")
    started = [
        _StartedPrediction(pk, image_id, sha256, file, now)
        for pk, image_id, sha256, file, _expires_at in rows
        if pk not in expired
    ]
    running = [prediction.id for prediction in started]
    Prediction.objects.waiting().filter(pk__in=running).update(state=Prediction.State.RUNNING, started_at=now)
    return started


def _record(
    predictions: Sequence[_StartedPrediction], result: BatchResult, classifier: Classifier
) -> dict[UUID, Mapping[str, Any]]:
    """Writes all answers, and the features of the images, in one transaction.

    Returns the written columns of the predictions that settled here. Others keep their state: they were cancelled
    meanwhile, for example.
    """
    now = timezone.now()
    columns: dict[UUID, dict[str, Any]] = {}
    for number, prediction in enumerate(predictions):
        columns[prediction.id] = _answer_columns(result.answers[number]) | {
            "model_version": str(classifier.version),
            "precision": classifier.precision,
            "started_at": prediction.started_at,
            "finished_at": now,
            "decode_ms": round(result.decode_seconds[number] * 1000, 2),
            "compute_ms": round(result.compute_seconds[number] * 1000, 2),
        }
    with transaction.atomic():
        settled = set(Prediction.objects.waiting().update_each(columns))
        answered_here = [
            (prediction, answer)
            for prediction, answer in zip(predictions, result.answers, strict=True)
            if prediction.id in settled and isinstance(answer, Classification)
        ]
        # No image of these is erased meanwhile: only images without waiting predictions are.
        features = [(prediction.image_id, answer.features) for prediction, answer in answered_here]
        embeddings_store(features, backbone=classifier.backbone)
        _send_answered(
            [
                Answered(prediction.id, prediction.sha256, answer.label, answer.score)
                for prediction, answer in answered_here
            ]
        )
    return {prediction_id: columns[prediction_id] for prediction_id in settled}


def _send_answered(answers: list[Answered]) -> None:
    """Tells the receivers about these answers, in the current transaction.

    An error of a receiver is logged, and what the receivers have written is rolled back. The answers are stored anyway.
    """
    try:
        with transaction.atomic():
            answered.send(None, answers=answers)
    except Exception:
        if transaction.get_rollback():
            raise  # the connection is lost, and the answers with it: the batch is tried again
        logger.exception("A receiver of %d answers raised; they are stored without what it does.", len(answers))


def _answer_columns(answer: Classification | Exception) -> dict[str, Any]:
    """Returns the columns of an answer, the same for every answer, so that one statement writes all of them."""
    if isinstance(answer, Classification):
        top = [[label, round(score, 6)] for label, score in answer.top]
        done = {"state": Prediction.State.DONE.value, "label": answer.label, "score": answer.score, "top": top}
        return done | {"error_code": "", "error": ""}
    if isinstance(answer, UndecodableImage):
        logger.info("A picture could not be decoded: %s", answer)
        failure = {"error_code": answer.code, "error": str(answer)[:500]}
    else:
        logger.error("A picture could not be classified.", exc_info=answer)
        failure = _failure_columns(answer)
    return {"state": Prediction.State.FAILED.value, "label": "", "score": None, "top": [], **failure}


def _failure_columns(error: BaseException | str) -> dict[str, str]:
    """Returns the columns of a failure that is the site's fault. Details go to the log, not to the page."""
    name = error if isinstance(error, str) else type(error).__name__
    return {"error_code": Prediction.CLASSIFICATION_FAILED, "error": f"The picture could not be classified ({name})."}


def _settle(prediction_ids: list[UUID], state: Prediction.State, *, error_code: str, error: str) -> None:
    Prediction.objects.waiting().filter(pk__in=prediction_ids).update(
        state=state, error_code=error_code, error=error, finished_at=timezone.now()
    )
    announcements.announce(dict.fromkeys(prediction_ids))
