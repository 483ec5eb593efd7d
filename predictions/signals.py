"""Signals for the packages above, which this package does not import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.dispatch import Signal

from predictions.models import Image


@dataclass(frozen=True)
class Answered:
    """A prediction that has just been answered. `score`: probability of the label, 0 to 1."""

    id: UUID
    sha256: str
    label: str
    score: float


# Sent in the transaction that stores the answers of a batch, with `answers`: a list of `Answered`. A receiver that
# raises does not keep the answers from being stored: its error is logged.
answered = Signal()

# The next two are sent in the transaction that erases a picture. The row of the image is locked.

# Sent with `image`, if its sender asks for the deletion: receivers return whether the picture must stay.
picture_needed = Signal()

# Sent with `image` and with `erasure`, an `Erasure`, before the predictions are erased.
erasing = Signal()

# Sent by workers every few seconds. A receiver removes from its files what is erased in the database, does nothing if
# that is done, and logs errors.
erasures_finishing = Signal()


@dataclass(frozen=True)
class Erasure:
    """What is erased of an image.

    `successor`: the row that takes the place of an image that is erased as a whole. Without it, the image stays, and
    only the words of `author` are erased or, if that is empty, those about the `predictions`.
    """

    successor: Image | None = None
    author: str = ""
    predictions: Sequence[UUID] = ()
