"""The order in which cases wait for reviewers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """`columns` are those of an index that begins with `state`, so that the first page needs no sorting."""

    title: str
    columns: tuple[str, ...]


ORDERS = {
    "reported": Order("Most reported", ("-weight", "opened_at", "id")),
    "confident": Order("Confidently wrong", ("-is_disputed", "-score", "id")),
    "margin": Order("Smallest margin", ("margin", "id")),
    "oldest": Order("Oldest", ("opened_at", "id")),
}
DEFAULT_ORDER = "reported"
