"""Merges two histories when a browser opens the private link of another one."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from feedback.models import Feedback, FeedbackQuerySet
from feedback.signals import feedback_withdrawn
from predictions import visitors
from predictions.models import Image, MergedVisitor, Prediction

BATCH_SIZE = 100  # images that one transaction locks


def histories_merge(visitor: str, *, into: str) -> None:
    """Makes everything that a visitor has sent and said that of another visitor.

    The cookie of either of them shows the merged history, as soon as the merge is recorded. If both have said something
    about one prediction, the later statement counts.
    """
    visitors.merge(visitor, into=into)
    history_gather(into)


def history_gather(visitor: str) -> None:
    """Moves what merged visitors have sent and said to the visitor that they were merged into.

    After an interruption, another call moves what is left.
    """
    for merged in MergedVisitor.objects.filter(into=visitor).values_list("visitor", flat=True):
        _move(merged, visitor)
    if into := visitors.merged_into(visitor):  # perhaps meanwhile, and before the rows above were moved
        history_gather(into)


def _move(visitor: str, into: str) -> None:
    _move_predictions(visitor, into)
    while images := _images_with_statements(visitor):
        with transaction.atomic():
            _move_statements(images, visitor, into)


def _move_predictions(visitor: str, into: str) -> None:
    """Moves what waits one by one: workers lock several at once, in another order."""
    sent = Prediction.objects.of_sender(visitor)
    for prediction_id in sent.waiting().values_list("pk", flat=True):
        Prediction.objects.filter(pk=prediction_id, sender=visitor).update(sender=into)
    sent.update(sender=into)


def _images_with_statements(visitor: str) -> list[int]:
    """Returns the ids of the next images that a visitor has said something about."""
    # SQLite uses the index only if the condition of the index is in the query, too.
    statements = Feedback.objects.filter(~Q(author=""), author=visitor, image__isnull=False)
    return list(statements.order_by("image_id").values_list("image_id", flat=True).distinct()[:BATCH_SIZE])


def _move_statements(image_ids: list[int], visitor: str, into: str) -> None:
    """Runs in a transaction. The locks serialize statements about one image; see `feedback.services`."""
    locked = list(Image.objects.select_for_update(no_key=True).filter(pk__in=image_ids).order_by("pk"))
    moved = Feedback.objects.filter(image__in=locked, author=visitor)
    others = Feedback.objects.current().filter(image__in=locked, author=into)
    both = set(others.values_list("image_id", flat=True))
    _supersede(moved, {statement.prediction_id: statement for statement in others})
    moved.update(author=into)
    for image in locked:
        if image.pk in both:  # two people said something about it, and now they count as one
            feedback_withdrawn.send(Feedback, image=image)


def _supersede(moved: FeedbackQuerySet, others: dict[UUID | None, Feedback]) -> None:
    """Of two current statements about one prediction, leaves only the later one current."""
    for statement in moved.current().filter(prediction__in=others):
        other = others[statement.prediction_id]
        earlier = min(statement, other, key=lambda said: (said.created_at, said.pk))
        Feedback.objects.filter(pk=earlier.pk).update(is_current=False)
