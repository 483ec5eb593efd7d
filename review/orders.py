"""The orders of the queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """One order of the queue. In an index of `Case`, `columns` follow `state`: the first page needs no sorting."""

    title: str
    columns: tuple[str, ...]


ORDERS = {
    "reported": Order("Most reported", ("-sender_count", "-weight", "opened_at", "id")),
    "confident": Order("Confidently wrong", ("-is_disputed", "-score", "id")),
    "margin": Order("Smallest margin", ("margin", "id")),
    "oldest": Order("Oldest", ("opened_at", "id")),
}
DEFAULT_ORDER = "reported"
