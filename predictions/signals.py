"""What happens here, for the rooms above, which this one does not know."""

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


# Sent in the transaction that stores the answers of a batch, with `answers`: a list of `Answered`.
answered = Signal()
