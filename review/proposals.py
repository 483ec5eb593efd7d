"""Labels that reviewers propose where no label fits."""

from __future__ import annotations

from predictions.label_search import normalize


def proposal_key(text: str) -> str:
    """Returns the same text for all spellings of a proposed label: "Unicorn", "unicorn " and "UNICORN"."""
    return normalize(text) or text.strip()  # an emoji has no letters
