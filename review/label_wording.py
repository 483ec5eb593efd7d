"""Sentences about labels that changed."""

from __future__ import annotations


def changed(word: str, becomes: tuple[str, ...]) -> str:
    """Says that a label was split or dropped. Returns an empty string if it became one label, or stays as it is."""
    if len(becomes) == 1:
        return ""
    if not becomes:
        return f"The label {quoted(word)} was dropped."
    *first, last = map(quoted, becomes)
    return f"The label {quoted(word)} was split into {', '.join(first)} and {last}."


def quoted(label: str) -> str:
    """Returns a label as pages show it, in quotation marks."""
    return f"“{label.replace('_', ' ')}”"
