"""Labels that reviewers propose where no label fits."""

from __future__ import annotations

from worker.inference.spelling import normalize


def proposal_key(text: str) -> str:
    """Returns the same text for all spellings of a proposed label: "Unicorn", "unicorn " and "UNICORN"."""
    return normalize(text) or text.strip()  # an emoji has no letters
