"""Submits predictions, waits for them and cancels them, in the web process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError
from django.utils import timezone

from predictions import announcements, connections, erasing, idempotency, visitors
from predictions.admission import backpressure, client_share
from predictions.exceptions import RequestRejected
from predictions.group_commit import writer
from predictions.models import Image, Prediction
from predictions.uploads import validation as images

_DATETIME_COLUMNS = frozenset({"started_at", "finished_at"})


def prediction_request(
    *,
    upload: UploadedFile[bytes],
    source: Prediction.Source,
    client: str = "",
    wait_seconds: float = 0,
    expires_after: timedelta | None = None,
    sender: str = "",
    request_key: str = "",
) -> Prediction:
    """Stores an uploaded picture, queues its prediction, and waits up to `wait_seconds` for the answer.

    `client` is its network (see `client_address`), by which `client_share` counts what waits. `sender` is the visitor
    who sends it, if known (see `visitors`). A picture that comes again with the same `request_key` is stored once (see
    `idempotency`).

    The returned prediction may still be waiting. Raises `RequestRejected` if the picture is not acceptable, its key
    belongs to another picture, too many requests wait already, or the queue cannot be reached. In the last case the
    prediction is stored as failed.
    """
    with backpressure.hold_wait_slot(wait_seconds):
        with writer.expect_write(), upload:
            validated = images.validate(upload)
            prediction_id, earlier = _find_repeated(request_key, validated.sha256)
            image = None if earlier else images.store(validated)
            del validated  # hundreds of requests may wait below, and the picture is already on disk
        prediction = earlier or Prediction(
            id=prediction_id,
            source=source,
            sender=sender,
            file_name=(upload.name or "")[:255],
            expires_at=timezone.now() + expires_after if expires_after else None,
        )
        with announcements.listener.expect(prediction.id) as waiter:
            if image is None:
                prediction = _read(prediction.id)  # it may have been answered before the listener was set up
            else:
                with client_share.waiting.counted(client, prediction):
                    prediction = _write(prediction, image, request_key)
            if wait_seconds <= 0 or not prediction.is_waiting:
                return prediction
            return _wait(prediction, waiter, wait_seconds)


def prediction_repeat(prediction: Prediction, *, client: str = "", sender: str = "") -> Prediction:
    """Submits the stored picture of a prediction once more, as `prediction_request` does with an upload.

    Raises what that raises, and `RequestRejected` `picture-missing` if its file is gone.
    """
    image = prediction.image
    try:
        file = image.file.open("rb")
    except (FileNotFoundError, ValueError) as error:  # `ValueError`: it was erased a moment ago
        raise RequestRejected("picture-missing", "The picture is no longer stored.", status=410) from error
    upload = UploadedFile(file, name=prediction.file_name, size=image.byte_size)
    return prediction_request(upload=upload, source=Prediction.Source.PAGE, client=client, sender=sender)


def _find_repeated(request_key: str, sha256: str) -> tuple[UUID, Prediction | None]:
    """Returns the id of the prediction for a key, and the prediction if an earlier request has stored it.

    One that failed because the queue could not be reached does not count: the client was told to send it again.
    """
    if not request_key:
        return uuid4(), None
    attempt = 0
    while True:
        prediction_id = idempotency.prediction_id(request_key, attempt)
        earlier = Prediction.objects.select_related("image").filter(pk=prediction_id).first()
        if earlier is None:
            return prediction_id, None
        idempotency.require_same_picture(earlier, sha256)
        if earlier.error_code != Prediction.QUEUE_UNAVAILABLE:
            return prediction_id, earlier
        attempt += 1


def _write(prediction: Prediction, image: Image, request_key: str) -> Prediction:
    """Writes the prediction and returns it, or the one that another request with the same key writes at this moment."""
    sha256 = image.sha256
    try:
        writer.write(prediction, image)
    except RequestRejected:  # without a queue, it is stored as failed
        _follow_merge(prediction)
        raise
    except IntegrityError:
        _prediction_id, earlier = _find_repeated(request_key, sha256)
        if earlier is None:
            raise
        return earlier
    _follow_merge(prediction)
    return prediction


def _follow_merge(prediction: Prediction) -> None:
    """Gives a stored prediction to the visitor that its sender was merged into since the request came.

    A merge is committed before predictions are moved: either the move finds this row, or this function finds the merge.
    """
    while into := visitors.merged_into(prediction.sender):
        Prediction.objects.filter(pk=prediction.pk, sender=prediction.sender).update(sender=into)
        prediction.sender = into


def _read(prediction_id: UUID) -> Prediction:
    return Prediction.objects.select_related("image").get(pk=prediction_id)


def prediction_wait(prediction_id: UUID, seconds: float, *, client: str = "") -> Prediction:
    """Returns the prediction, with its image, as soon as it has settled, or after `seconds` if it still waits.

    Returns at once if too many requests, or too many of this `client`, wait already. Raises `Prediction.DoesNotExist`.
    """
    # The listener is set up before the row is read. A prediction that settles in between is announced to it.
    with announcements.listener.expect(prediction_id) as waiter:
        prediction = _read(prediction_id)
        if not prediction.is_waiting:
            return prediction
        with client_share.hold_wait_slot(client) as acquired:
            return _wait(prediction, waiter, seconds) if acquired else prediction


def predictions_wait(prediction_ids: Sequence[UUID], seconds: float, *, client: str = "") -> list[Prediction]:
    """Returns these predictions in this order, as soon as the first of them that waits has settled, or after `seconds`.

    Unknown and deleted ones are left out. `client`: see `prediction_wait`.
    """
    found = Prediction.objects.not_erased().in_bulk(prediction_ids)
    waiting = next((found[pk] for pk in prediction_ids if pk in found and found[pk].is_waiting), None)
    if waiting is not None and seconds > 0:
        prediction_wait(waiting.pk, seconds, client=client)
        found = Prediction.objects.not_erased().in_bulk(prediction_ids)
    return [found[pk] for pk in dict.fromkeys(prediction_ids) if pk in found]


def _wait(prediction: Prediction, waiter: announcements.Waiter, seconds: float) -> Prediction:
    """Waits for the answer, for at most `seconds` and no longer than the client does."""
    deadline = time.monotonic() + seconds
    connection = connections.current()
    with connection.waking(waiter.set):
        while True:
            in_time = waiter.wait(deadline - time.monotonic())
            waiter.clear()
            if waiter.payload:
                return _with_columns(prediction, waiter.payload)
            if connection.is_closed:
                return prediction
            prediction = _read(prediction.pk)
            if not in_time or not prediction.is_waiting:
                return prediction


def _with_columns(prediction: Prediction, columns: Mapping[str, Any]) -> Prediction:
    """Sets the announced columns on the prediction."""
    for column, value in columns.items():
        setattr(prediction, column, datetime.fromisoformat(value) if column in _DATETIME_COLUMNS and value else value)
    return prediction


def prediction_cancel(prediction_id: UUID) -> Prediction:
    """Cancels a prediction that no worker has started, and returns it. Cancelling it again changes nothing.

    Raises `Prediction.DoesNotExist`, and `RequestRejected`: `not-cancellable` if it is running or has settled,
    `deleted`.
    """
    cancelled = Prediction.objects.filter(pk=prediction_id, state=Prediction.State.QUEUED).update(
        state=Prediction.State.CANCELLED, finished_at=timezone.now()
    )
    if cancelled:
        announcements.announce({prediction_id: None})
    prediction = Prediction.objects.get(pk=prediction_id)
    erasing.require_not_erased(prediction)
    if prediction.state != Prediction.State.CANCELLED:
        message = f"The prediction is {prediction.get_state_display().lower()} and cannot be cancelled any more."
        raise RequestRejected("not-cancellable", message, status=409)
    return prediction
