"""Signals for the packages above, which this package does not import."""

from dataclasses import dataclass
from uuid import UUID

from django.dispatch import Signal


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
