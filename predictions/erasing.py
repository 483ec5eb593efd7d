"""Erases pictures: the file, what is made from it (embeddings, too), file names, and what people have said about it.

Visitors delete their own predictions, and the picture with them if nobody else has sent it and no decision needs it.
Leads erase a picture as a whole. A prediction that is erased keeps its id, answer and times.

An image is erased in two transactions. The first moves all rows to a new row without file and hash, and marks the old
one. The second removes the files and the old row. Until then the old row reserves the hash: if the same picture is sent
again, it gets the old row back, and the files stay. The second one is repeated if a process was killed in between.
Workers then remove what people have said from files that other packages write, such as the mirror.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from predictions import announcements
from predictions.exceptions import RequestRejected
from predictions.models import Embedding, Image, Prediction, PredictionQuerySet
from predictions.signals import Erasure, erasing, erasures_finishing, picture_needed
from predictions.uploads import stored_files

logger = logging.getLogger(__name__)

ATTEMPTS = 10  # to erase a picture that is being sent at the same time


class Kept(StrEnum):
    """Why the file of a deleted prediction is still stored."""

    NOTHING = ""
    FOR_OTHERS = "others"
    FOR_TRAINING = "training"


class _SentMeanwhile(Exception):
    """A prediction was submitted after the waiting ones were cancelled."""


def is_sender(prediction: Prediction, visitor: str) -> bool:
    """Returns whether this visitor has sent the prediction; `visitor` is empty for an unknown one."""
    return bool(visitor) and prediction.sender == visitor


def may_delete(prediction: Prediction, visitor: str) -> bool:
    """Returns whether the prediction may be deleted by this visitor.

    The sender of a picture that came by API without a cookie is unknown: anyone who knows the prediction's id may
    delete it.
    """
    is_anonymous = not prediction.sender and prediction.source == Prediction.Source.API
    return is_anonymous or is_sender(prediction, visitor)


def require_not_erased(prediction: Prediction) -> None:
    """Raises `RequestRejected` `deleted`."""
    if prediction.is_erased:
        raise RequestRejected("deleted", "This picture was deleted.", status=410)


def prediction_delete(prediction_id: UUID, *, visitor: str = "") -> Kept:
    """Deletes a visitor's predictions of one picture, and what they said about it. Deleting again changes nothing.

    Waiting predictions are cancelled. The picture itself is erased if nobody else has sent it and no decision needs it.
    Returns why its file is kept. Raises `Prediction.DoesNotExist`; `RequestRejected`: `not-yours`, or `busy` if the
    picture is being sent all the time.
    """
    prediction = Prediction.objects.get(pk=prediction_id)
    if prediction.is_erased:
        with transaction.atomic():
            return Kept.NOTHING if prediction.image.is_erased else _kept(prediction.image, Q(pk=prediction_id))
    if not may_delete(prediction, visitor):
        raise RequestRejected("not-yours", "Only the browser that sent this picture can delete it.", status=403)
    chosen = Q(sender=prediction.sender) if prediction.sender else Q(pk=prediction_id)
    try:
        return _erase(prediction.image_id, chosen, author=prediction.sender)
    finally:
        transaction.on_commit(files_remove, robust=True)


def sent_pictures_delete(visitor: str, *, limit: int) -> Counter[Kept]:
    """Deletes pictures that a visitor has sent, as `prediction_delete` does: the newest ones, at most `limit`.

    Each picture has transactions of its own: after an interruption, another call deletes those that are left. Returns
    the number of deleted pictures by why their files are kept. Raises `RequestRejected` `busy` if it deleted none.
    """
    deleted: Counter[Kept] = Counter()
    for _ in range(limit):
        newest = Prediction.objects.of_sender(visitor).order_by("-created_at", "-pk").values_list("pk", flat=True)
        prediction_id = newest.first()
        if prediction_id is None:
            break
        try:
            deleted[prediction_delete(prediction_id, visitor=visitor)] += 1
        except RequestRejected:
            if not deleted:
                raise
            break
    return deleted


def images_erase(image_ids: Iterable[int]) -> None:
    """Erases pictures with everything that people have sent with them and said about them.

    Their cases stay if they have a history, without the picture. Erasing again changes nothing. Raises
    `RequestRejected` `busy` if a picture is being sent all the time.
    """
    try:
        for image_id in image_ids:
            _erase(image_id, Q())
    finally:
        transaction.on_commit(files_remove, robust=True)


def _erase(image_id: int, chosen: Q, author: str = "") -> Kept:
    """Erases the `chosen` predictions of an image, and the image if nothing else needs it. `Q()` chooses all."""
    for _attempt in range(ATTEMPTS):
        _cancel(Prediction.objects.waiting().filter(chosen, image_id=image_id).values_list("pk", flat=True))
        try:
            with transaction.atomic():
                return _erase_rows(image_id, chosen, author)
        except _SentMeanwhile:
            continue
    message = "This picture is being sent all the time. Please try again in a moment."
    raise RequestRejected("busy", message, status=503, retry_after=1)


def _cancel(prediction_ids: Iterable[UUID]) -> None:
    """Cancels predictions one by one: workers lock several at once, in another order."""
    cancelled = []
    for prediction_id in prediction_ids:
        waiting = Prediction.objects.waiting().filter(pk=prediction_id)
        if waiting.update(state=Prediction.State.CANCELLED, finished_at=timezone.now()):
            cancelled.append(prediction_id)
    announcements.announce(dict.fromkeys(cancelled))


def _erase_rows(image_id: int, chosen: Q, author: str) -> Kept:
    """Runs in a transaction. Raises `_SentMeanwhile`."""
    image = Image.objects.select_for_update().filter(pk=image_id).first()
    if image is None:
        return Kept.NOTHING  # somebody else has erased it meanwhile
    mine = Prediction.objects.not_erased().filter(chosen, image=image)
    if mine.waiting().exists():
        raise _SentMeanwhile
    if image.is_erased and not mine.exists():
        return Kept.NOTHING
    kept = _kept(image, chosen)
    if kept:
        ids = list(mine.values_list("pk", flat=True))
        erasing.send(None, image=image, erasure=Erasure(author=author, predictions=ids))
        _forget(mine)
    else:
        successor = _successor(image)
        erasing.send(None, image=image, erasure=Erasure(successor))
        _forget(mine)
        Prediction.objects.filter(image=image).update(image=successor)
        Embedding.objects.filter(image=image).delete()
        Image.objects.filter(pk=image.pk).update(erased_at=timezone.now())
    return kept


def _forget(predictions: PredictionQuerySet) -> None:
    """Erases what tells who sent these predictions."""
    predictions.update(erased_at=timezone.now(), file_name="", sender="")


def _kept(image: Image, chosen: Q) -> Kept:
    """Returns why the file of an image stays if the chosen predictions are erased. Runs in a transaction."""
    if chosen == Q():
        return Kept.NOTHING
    if Prediction.objects.not_erased().filter(image=image).exclude(chosen).exists():
        return Kept.FOR_OTHERS
    needed = any(answer for _receiver, answer in picture_needed.send(None, image=image))
    return Kept.FOR_TRAINING if needed else Kept.NOTHING


def _successor(image: Image) -> Image:
    """Creates the row that takes the place of an erased image.

    It has no hash: anyone who has the picture could tell from it that it was here.
    """
    successor = Image.objects.create(
        sha256=f"erased-{secrets.token_hex(28)}",
        format=image.format,
        width=image.width,
        height=image.height,
        byte_size=0,
        erased_at=timezone.now(),
    )
    Image.objects.filter(pk=successor.pk).update(created_at=image.created_at)
    return successor


def erasures_finish() -> int:
    """Removes the files of erased images, and has other packages finish their part. Returns the number of images.

    Workers call it every few seconds. No request does, because the other packages may have long files to write again.
    """
    finished = files_remove()
    erasures_finishing.send(None)
    return finished


def files_remove() -> int:
    """Removes the files of erased images. Returns the number of images.

    Files that cannot be removed are logged, and the next call tries again.
    """
    finished = 0
    for image_id in Image.objects.being_erased().values_list("pk", flat=True):
        try:
            finished += _remove_files(image_id)
        except OSError:
            logger.exception("The files of erased image %d cannot be removed yet.", image_id)
    return finished


@transaction.atomic
def _remove_files(image_id: int) -> bool:
    """Removes the files and the row of an erased image. Returns whether it did. Raises `OSError`."""
    image = Image.objects.select_for_update().being_erased().filter(pk=image_id).first()
    if image is None:
        return False  # another process has removed them
    if image.predictions.exists():  # sent again since
        Image.objects.filter(pk=image.pk).update(erased_at=None)
        return False
    stored_files.delete(image)
    image.delete()
    return True
