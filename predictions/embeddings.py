"""Stores the features of images, which everything that learns from stored images starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Count, Exists, OuterRef

from predictions.models import Embedding, Image, ImageQuerySet
from predictions.stored_images import StoredImages
from worker.inference.classifier import BatchResult, Classification, Classifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Images of one transaction: few, so that workers that write meanwhile hardly wait.
REBUILD_BATCH = 8

DELETE_BATCH = 1000


@dataclass(frozen=True)
class RebuiltBatch:
    """Some images of a rebuild.

    Attributes:
        images: how many.
        stored: how many of them got their features here. Another process may have stored those of others meanwhile.
        failures: why some have no features, by the SHA-256 of the image.
    """

    images: int
    stored: int
    failures: dict[str, str]


def embeddings_store(features: Iterable[tuple[int, NDArray[np.float16] | None]], *, backbone: str) -> None:
    """Stores pairs of an image's id and its features, if any. An image that has a row for this backbone keeps it.

    Runs in the transaction of the caller, which makes sure that the images are not erased meanwhile.
    """
    vectors = {image_id: vector.astype("<f2").tobytes() for image_id, vector in features if vector is not None}
    # Sorted, because two transactions that insert the same rows in different orders wait for each other forever.
    rows = [Embedding(image_id=image_id, backbone=backbone, vector=vectors[image_id]) for image_id in sorted(vectors)]
    Embedding.objects.bulk_create(rows, ignore_conflicts=True)


def embedding_counts() -> dict[str, int]:
    """Returns the number of images with features, by backbone."""
    counted = Embedding.objects.order_by("backbone").values_list("backbone").annotate(Count("pk"))
    return dict(counted)


def images_without_features(backbone: str) -> ImageQuerySet:
    """Returns the stored images that have no row for this backbone, oldest first."""
    known = Embedding.objects.filter(backbone=backbone, image=OuterRef("pk"))
    return Image.objects.filter(~Exists(known), erased_at=None).order_by("pk")


def embeddings_rebuild(classifier: Classifier) -> Iterator[RebuiltBatch]:
    """Stores the features of all images that have none under the backbone of the classifier.

    Each batch is stored before it is yielded, so the caller may stop at any time and start again later.
    """
    last = 0
    while images := list(images_without_features(classifier.backbone).filter(pk__gt=last)[:REBUILD_BATCH]):
        last = images[-1].pk
        result = classifier.classify(StoredImages([image.file.name or "" for image in images]))
        stored = _store(images, result, backbone=classifier.backbone)
        failures = {image.sha256: _failure(answer) for image, answer in zip(images, result.answers, strict=True)}
        yield RebuiltBatch(len(images), stored, {sha256: failure for sha256, failure in failures.items() if failure})


def embeddings_delete(backbone: str) -> int:
    """Deletes all rows of a backbone, in short transactions. Returns their number."""
    total = 0
    while ids := list(Embedding.objects.filter(backbone=backbone).values_list("pk", flat=True)[:DELETE_BATCH]):
        total += Embedding.objects.filter(pk__in=ids).delete()[0]
    return total


@transaction.atomic
def _store(images: list[Image], result: BatchResult, *, backbone: str) -> int:
    """Stores features, and returns for how many images."""
    # Locked, so that no image is erased before its row is stored, and two rebuilds do not count the same rows.
    locked = Image.objects.select_for_update(no_key=True).filter(pk__in=[image.pk for image in images], erased_at=None)
    stored = set(locked.order_by("pk").values_list("pk", flat=True))
    rows = Embedding.objects.filter(image__in=stored, backbone=backbone)
    before = rows.count()
    embeddings_store(
        [
            (image.pk, answer.features)
            for image, answer in zip(images, result.answers, strict=True)
            if image.pk in stored and isinstance(answer, Classification)
        ],
        backbone=backbone,
    )
    return rows.count() - before


def _failure(answer: Classification | Exception) -> str:
    """Returns why an image has no features, or an empty string."""
    if isinstance(answer, Classification):
        return "" if answer.features is not None else "Its features are too large for 16 bits."
    return f"{type(answer).__name__}: {answer}" if isinstance(answer, OSError) else str(answer)
