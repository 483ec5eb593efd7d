"""The labels of model versions and their synonyms, with search."""

from __future__ import annotations

import difflib
import logging
import re
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from predictions import classifiers
from predictions.models import Prediction
from worker.inference.repository import NotInstalled, Repository, RepositoryError

logger = logging.getLogger(__name__)

LIMIT = 20

# Apostrophes are removed from words (`jack-o'-lantern`); everything else that is not a letter or digit separates words.
_APOSTROPHES = re.compile("['`\u2019\u02bc]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")

# The ranks of the four kinds of match: the name equals the text, starts with it, has a word that starts with it, or
# contains it. Lower ranks come first in the results: a label's own name counts more than a synonym.
_LABEL_RANKS = (0, 2, 3, 6)
_SYNONYM_RANKS = (1, 4, 5, 6)

_CONTAINED_RANK = 6

# The lengths of texts that are searched for typos. Shorter texts are all similar to each other, and no label is
# longer.
_TYPO_LENGTHS = range(4, 41)
# The least similarity of two spellings, as `difflib` computes it, 0 to 1: one letter in five may differ.
_MIN_SIMILARITY = 0.8
# How many texts each index remembers the similar labels of: to find them takes some milliseconds.
_REMEMBERED_TEXTS = 2048


def normalize(text: str) -> str:
    """Returns the form in which texts are compared: lower-case letters and digits, no accents, single spaces.

    `Eskimo_dog`, `eskimo-dog` and ` ESKIMO  dóg ` all become `eskimo dog`. Invisible characters make no difference.
    """
    # Decomposed twice: a few symbols decompose into capitals, and a few capitals fold into letters with accents.
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(part for part in parts if not unicodedata.combining(part) and unicodedata.category(part) != "Cf")
    return _BETWEEN_WORDS.sub(" ", _APOSTROPHES.sub("", letters)).strip()


def _with_case(text: str) -> str:
    """Returns the text with single spaces and its case, which tells the dog Cardigan from the garment cardigan."""
    return " ".join(text.replace("_", " ").split())


@dataclass(frozen=True)
class Entry:
    """One label. `synonyms`: its other names; `matched`: the synonym that a search found it by, if any."""

    label: str
    synonyms: tuple[str, ...] = ()
    matched: str = ""

    @property
    def name(self) -> str:
        """The label with spaces instead of underscores."""
        return self.label.replace("_", " ")


@dataclass(frozen=True)
class _Searchable:
    """An entry with its normalized names, the label's own first. Each begins with a space, as every word in it does."""

    entry: Entry
    names: tuple[str, ...]
    all_names: str

    @classmethod
    def of(cls, label: str, synonyms: Iterable[str]) -> _Searchable:
        by_name = {normalize(label): label}
        for synonym in synonyms:
            by_name.setdefault(normalize(synonym), synonym)
        entry = Entry(label, tuple(by_name.values())[1:])
        return cls(entry, tuple(f" {name}" for name in by_name), "\n".join(by_name))

    def match(self, text: str) -> tuple[int, int] | None:
        """Returns the best rank of a match with a normalized text and the position of the matching name, or `None`."""
        if text not in self.all_names:
            return None
        return min(
            ((_SYNONYM_RANKS if position else _LABEL_RANKS)[_match_kind(name, f" {text}")], position)
            for position, name in enumerate(self.names)
            if text in name
        )

    def found_by(self, position: int) -> Entry:
        return replace(self.entry, matched=self.entry.synonyms[position - 1]) if position else self.entry


def _match_kind(name: str, text: str) -> int:
    """Returns the kind of match, an index of the ranks above. Both arguments begin with a space."""
    if name == text:
        return 0
    if name.startswith(text):
        return 1
    return 2 if text in name else 3


class LabelIndex:
    """The labels of one model version. It is immutable, so many threads may search it."""

    def __init__(self, labels: Sequence[str] = (), synonyms: Sequence[Sequence[str]] = ()) -> None:
        """Two classes may share a label, as ImageNet's two cranes do. The index holds it once."""
        merged: dict[str, list[str]] = {label: [] for label in labels}
        for label, words in zip(labels, synonyms, strict=False):
            merged[label] += words
        searchable = [_Searchable.of(label, words) for label, words in merged.items()]
        self._searchable = sorted(searchable, key=lambda one: (one.names[0], one.entry.label))
        self._by_label = {one.entry.label: one for one in self._searchable}
        self._labels_by_name: dict[str, set[str]] = defaultdict(set)
        self._labels_by_synonym: dict[str, set[str]] = defaultdict(set)
        self._by_spelling: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for label, one in self._by_label.items():
            for position, name in enumerate(one.names):
                (self._labels_by_synonym if position else self._labels_by_name)[name[1:]].add(label)
                for spelling in {name[1:], *name.split()}:
                    self._by_spelling[spelling].add((label, position))
        self._similarities = lru_cache(_REMEMBERED_TEXTS)(self._compare)

    def __len__(self) -> int:
        return len(self._searchable)

    def __contains__(self, label: str) -> bool:
        return label in self._by_label

    def search(
        self, text: str, *, first: Sequence[str] = (), exclude: Collection[str] = (), limit: int = LIMIT
    ) -> list[Entry]:
        """Returns up to `limit` labels that match a text, best match first.

        Case, accents, hyphens and underscores make no difference. A label's own name counts more than a synonym, and
        the start of a name or word more than its middle. If no word starts with the text, the results also include
        labels whose name is part of the text or similar to it.

        `first` are the labels that a model predicted, best first. They break ties; for an empty text they come first.
        `exclude` are labels to leave out.
        """
        found = self._search(text, first, limit + len(exclude))
        return [entry for entry in found if entry.label not in exclude][:limit]

    def _search(self, text: str, first: Sequence[str], limit: int) -> list[Entry]:
        positions = {label: position for position, label in reversed(list(enumerate(first)))}
        if not text.strip():
            likely = [self._by_label[label] for label in dict.fromkeys(first) if label in self._by_label]
            others = (one for one in self._searchable if one.entry.label not in positions)
            return [one.entry for one in [*likely, *others][:limit]]
        wanted = normalize(text)
        if not wanted:
            return []
        found = [(*match, one) for one in self._searchable if (match := one.match(wanted))]
        # The sort is stable: equal matches stay in alphabetical order.
        typed = _with_case(text)
        found.sort(
            key=lambda hit: (
                hit[0],
                positions.get(hit[2].entry.label, len(positions)),
                _with_case(hit[2].entry.label) != typed,
            )
        )
        entries = [one.found_by(position) for _, position, one in found]
        # Skipped if a word starts with the text: then it has no typo, and this takes some milliseconds.
        if len(entries) < limit and all(rank == _CONTAINED_RANK for rank, _, _ in found):
            entries += self._named_in(wanted) + self._similar(wanted, positions)
        once: dict[str, Entry] = {}
        for entry in entries:
            once.setdefault(entry.label, entry)
        return list(once.values())[:limit]

    def resolve(self, text: str) -> str | None:
        """Returns the label that a text names, by its own name or by a synonym of no other label; otherwise `None`."""
        if text in self._by_label:
            return text
        wanted = normalize(text)
        # A label's own name takes precedence over the same word among the synonyms of others.
        labels = self._labels_by_name.get(wanted) or self._labels_by_synonym.get(wanted) or set()
        if len(labels) > 1:
            labels = {label for label in labels if _with_case(label) == _with_case(text)}
        return next(iter(labels)) if wanted and len(labels) == 1 else None

    def synonyms(self, label: str) -> tuple[str, ...]:
        """See the function `synonyms` below."""
        found = self._by_label.get(label)
        return found.entry.synonyms if found else ()

    def _named_in(self, wanted: str) -> list[Entry]:
        """Returns the labels whose name is part of the text (`cup` for `a coffee cup`), longer names first."""
        found = [
            (one, position)
            for one in self._searchable
            for position, name in enumerate(one.names)
            if f"{name} " in f" {wanted} "
        ]
        found.sort(key=lambda hit: -len(hit[0].names[hit[1]]))
        return [one.found_by(position) for one, position in found]

    def _similar(self, wanted: str, positions: Mapping[str, int]) -> list[Entry]:
        """Returns the labels that the text may mean if it has a typo. The text may also be the beginning of a name."""
        if len(wanted) not in _TYPO_LENGTHS:
            return []
        best = self._similarities(wanted)
        ranked = sorted(best, key=lambda label: (best[label][0], positions.get(label, len(positions)), label))
        return [self._by_label[label].found_by(best[label][1]) for label in ranked]

    def _compare(self, wanted: str) -> Mapping[str, tuple[float, int]]:
        """Returns the labels that are similar to a text, each with its negative similarity and the name's position."""
        beginnings: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for spelling, owners in self._by_spelling.items():
            beginnings[spelling[: len(wanted) + 1]] |= owners
        best: dict[str, tuple[float, int]] = {}
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(wanted)
        for beginning, owners in beginnings.items():
            matcher.set_seq1(beginning)
            if matcher.real_quick_ratio() < _MIN_SIMILARITY or matcher.quick_ratio() < _MIN_SIMILARITY:
                continue
            if (ratio := matcher.ratio()) < _MIN_SIMILARITY:
                continue
            for label, position in owners:
                best[label] = min(best.get(label, (0.0, 0)), (-ratio, position))
        return best


EMPTY = LabelIndex()

_KEPT_VERSIONS = 4
_lock = threading.Lock()  # so that threads read the labels of a version once


def index(model_version: str = "") -> LabelIndex:
    """Returns the labels of a model version, which are read once; by default those of the active version.

    If the version is no longer installed, these are the labels of the active one. If there is no usable version, the
    index is empty.
    """
    if model_version:
        try:
            return _index(model_version)
        except NotInstalled:
            pass
    name = classifiers.active_name()
    try:
        return _index(name) if name else EMPTY
    except NotInstalled:
        logger.exception("The labels of %s cannot be read.", name)
        return EMPTY


def _index(name: str) -> LabelIndex:
    """Returns the labels of an installed version; none if they are damaged. Raises `NotInstalled`."""
    try:
        with _lock:
            return _read(settings.MODELS_DIR, name)
    except NotInstalled:
        raise
    except RepositoryError:
        logger.exception("The labels of %s cannot be read.", name)
        return EMPTY


@lru_cache(maxsize=_KEPT_VERSIONS)
def _read(folder: Path, name: str) -> LabelIndex:
    """Reads the labels of an installed version, which never change. An error is not kept."""
    version = Repository(folder).find(name)
    return LabelIndex(
        [label.display_name for label in version.labels],
        [(label.name, *label.synonyms) for label in version.labels],
    )


def match(text: str, prediction: Prediction) -> str | None:
    """Returns the label that a text names among those of the version that answered; otherwise `None`.

    The labels of the answer stay known after the version is uninstalled.
    """
    answered = list(dict.fromkeys(str(label) for label, _score in prediction.top))
    if text in answered:
        return text
    known = index(prediction.model_version)
    return known.resolve(text) or LabelIndex([label for label in answered if label not in known]).resolve(text)


def synonyms(label: str) -> tuple[str, ...]:
    """Returns the other names of a label; none if the active model version does not have it."""
    return index().synonyms(label)
