"""Stores and removes the mappings between label sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.template.defaultfilters import pluralize
from django.utils import timezone

from review.label_sets import known_labels, remember
from review.models import LabelMapping
from worker.inference.repository import ModelVersion


@dataclass(frozen=True)
class MappingRow:
    """One changed label. `new`: several labels if it is split, none if it is dropped."""

    change: str
    old: str
    new: tuple[str, ...]


def mapping_store(old: ModelVersion, new: ModelVersion, rows: Iterable[MappingRow]) -> LabelMapping:
    """Stores a mapping, instead of an earlier one between the same label sets.

    Raises `worker.inference.repository.Damaged` if the labels of a version cannot be read.
    """
    stored = [[row.change, row.old, list(row.new)] for row in rows]
    with transaction.atomic():
        mapping, _created = LabelMapping.objects.update_or_create(
            old=remember(old), new=remember(new), defaults={"rows": stored, "stored_at": timezone.now()}
        )
    return mapping


def mapping_remove(old: ModelVersion, new: ModelVersion) -> bool:
    """Removes the mapping between the label sets of two versions. Returns whether there was one."""
    old_print, new_print = known_labels(old).fingerprint, known_labels(new).fingerprint
    number, _by_model = LabelMapping.objects.filter(old__fingerprint=old_print, new__fingerprint=new_print).delete()
    return bool(number)


def contradictions(old: ModelVersion, new: ModelVersion, rows: Iterable[MappingRow]) -> list[str]:
    """Returns the renamed labels that the stored mapping in the other direction, if any, does not rename back."""
    old_print, new_print = known_labels(old).fingerprint, known_labels(new).fingerprint
    back = LabelMapping.objects.filter(old__fingerprint=new_print, new__fingerprint=old_print).first()
    becomes = {word: words for _change, word, words in back.rows} if back else {}
    renamed = (row for row in rows if row.change == LabelMapping.Change.RENAME)
    return [row.old for row in renamed if becomes.get(row.new[0], [row.old]) != [row.old]]


def mapping_summary(rows: Iterable[MappingRow]) -> str:
    """Counts the changes in words, such as "3 renamed, 37 dropped"."""
    number = Counter(row.change for row in rows)
    parts = [_counted(number[change], change) for change in LabelMapping.Change if number[change]]
    return ", ".join(parts) or "no label changed"


def _counted(number: int, change: LabelMapping.Change) -> str:
    title = str(change.label).lower()
    return f"{number:,} {title}{pluralize(number) if change == LabelMapping.Change.PROPOSED else ''}"
