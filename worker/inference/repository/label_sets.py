"""Compares the label sets of two model versions."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from worker.inference.repository.labels import Label
from worker.inference.spelling import folded


def fingerprint(labels: Iterable[Label]) -> str:
    """Returns the SHA-256 of the ids and display names, in any order.

    Two label sets with the same fingerprint mean the same by each word: rows of one need no mapping to the other.
    """
    pairs = sorted((label.id, label.display_name) for label in labels)
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


@dataclass(frozen=True)
class LabelSetDifference:
    """What differs between an old and a new label set.

    Attributes:
        renamed: labels with the same id and another display name, each as (old, new).
        gone: labels of the old set whose id the new set does not have.
        new: labels of the new set whose id the old set does not have.
        likely: for the id of a label that is gone, the labels of the new set that probably mean the same. They have its
            name, or else share a synonym with it.
    """

    renamed: tuple[tuple[Label, Label], ...]
    gone: tuple[Label, ...]
    new: tuple[Label, ...]
    likely: Mapping[str, tuple[Label, ...]]


def compare_label_sets(old: Iterable[Label], new: Iterable[Label]) -> LabelSetDifference:
    old_by_id = {label.id: label for label in old}
    new_by_id = {label.id: label for label in new}
    both = [(label, new_by_id[label.id]) for label in old_by_id.values() if label.id in new_by_id]
    gone = tuple(label for label in old_by_id.values() if label.id not in new_by_id)
    return LabelSetDifference(
        renamed=tuple((one, other) for one, other in both if one.display_name != other.display_name),
        gone=gone,
        new=tuple(label for label in new_by_id.values() if label.id not in old_by_id),
        likely=_likely(gone, new_by_id.values()),
    )


def _likely(gone: Iterable[Label], new: Iterable[Label]) -> dict[str, tuple[Label, ...]]:
    by_name: dict[str, dict[str, Label]] = defaultdict(dict)
    by_synonym: dict[str, dict[str, Label]] = defaultdict(dict)
    for label in new:
        for word in _names(label):
            by_name[word][label.id] = label
        for word in _words(label):
            by_synonym[word][label.id] = label
    likely = {}
    for label in gone:
        found = {id_: other for word in _names(label) for id_, other in by_name.get(word, {}).items()}
        if not found:
            found = {id_: other for word in _words(label) for id_, other in by_synonym.get(word, {}).items()}
        if found:
            likely[label.id] = tuple(found.values())
    return likely


def _names(label: Label) -> set[str]:
    return {folded(label.display_name), folded(label.name)}


def _words(label: Label) -> set[str]:
    return _names(label) | {folded(synonym) for synonym in label.synonyms}
