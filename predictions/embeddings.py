"""Stores the features of images, which everything that learns from stored images starts from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from predictions.models import Embedding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def embeddings_store(features: Iterable[tuple[int, NDArray[np.float16] | None]], *, backbone: str) -> None:
    """Stores pairs of an image's id and its features, if any. An image that has a row for this backbone keeps it.

    Runs in the transaction of the caller, which makes sure that the images are not erased meanwhile.
    """
    vectors = {image_id: vector.astype("<f2").tobytes() for image_id, vector in features if vector is not None}
    # Sorted, because two transactions that insert the same rows in different orders wait for each other forever.
    rows = [Embedding(image_id=image_id, backbone=backbone, vector=vectors[image_id]) for image_id in sorted(vectors)]
    Embedding.objects.bulk_create(rows, ignore_conflicts=True)
