"""Labels that reviewers propose where no label fits."""

from __future__ import annotations

from collections.abc import Iterable

from review.models import Case
from worker.inference.spelling import normalize


def proposal_key(text: str) -> str:
    """Returns the same text for all spellings of a proposed label: "Unicorn", "unicorn " and "UNICORN"."""
    return normalize(text) or text.strip()  # an emoji has no letters


def unknown_proposals(texts: Iterable[str]) -> list[str]:
    """Returns those of these texts that no decided case has as its proposed label, in any spelling."""
    decided = Case.objects.exclude(proposed_label="").order_by().values_list("proposed_label", flat=True).distinct()
    known = {proposal_key(text) for text in decided}
    return [text for text in texts if proposal_key(text) not in known]
