"""The labels that one can choose from: those of the model version that answers, with what else people call them."""

from __future__ import annotations

import difflib
import logging
import re
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from predictions import classifiers
from worker.inference.repository import RepositoryError

logger = logging.getLogger(__name__)

LIMIT = 20

# What is left out of a word (`jack-o'-lantern`), and what stands between words.
_APOSTROPHES = re.compile("['`\u2019\u02bc]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")

# How a name may fit a text: it is the text, begins with it, has a word that begins with it, holds it somewhere.
# The numbers order what is found: a label's own name counts more than a synonym.
_LABEL_RANKS = (0, 2, 3, 6)
_SYNONYM_RANKS = (1, 4, 5, 6)

_WITHIN = 6

# Slips of the pen are looked for in texts of such lengths: shorter ones are all alike, longer ones are no label.
_SLIP_LENGTHS = range(4, 41)
# How much of two spellings is the same, as `difflib` counts: all but one letter in five.
_ALIKE = 0.8


def plain(text: str) -> str:
    """A text as it is compared: small letters and digits without accents, one blank between two words.

    `Eskimo_dog`, `eskimo-dog` and ` ESKIMO  dóg ` are all `eskimo dog`.
    """
    # Taken apart twice: a few signs are taken apart into capitals, and a few capitals into letters with accents.
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(part for part in parts if not unicodedata.combining(part))
    return _BETWEEN_WORDS.sub(" ", _APOSTROPHES.sub("", letters)).strip()


def _with_capitals(text: str) -> str:
    """A text as it was typed, but for what stands around and between its words: capitals alone tell a dog (Cardigan)
    from a garment (cardigan).
    """
    return " ".join(text.replace("_", " ").split())


@dataclass(frozen=True)
class Entry:
    """One label. `synonyms`: what else it is called; `matched`: that one of them by which a search found it, if any."""

    label: str
    synonyms: tuple[str, ...] = ()
    matched: str = ""

    @property
    def name(self) -> str:
        """The label as people write it."""
        return self.label.replace("_", " ")


@dataclass(frozen=True)
class _Searchable:
    """An entry with its plain names, the label's own first. A blank before each, so that every word begins with one."""

    entry: Entry
    names: tuple[str, ...]
    everything: str

    @classmethod
    def of(cls, label: str, synonyms: Iterable[str]) -> _Searchable:
        by_name = {plain(label): label}
        for synonym in synonyms:
            by_name.setdefault(plain(synonym), synonym)
        entry = Entry(label, tuple(by_name.values())[1:])
        return cls(entry, tuple(f" {name}" for name in by_name), "\n".join(by_name))

    def fit(self, text: str) -> tuple[int, int] | None:
        """How well this fits a plain text, and which of its names does; nothing if none does. Smaller is better."""
        if text not in self.everything:
            return None
        return min(
            ((_SYNONYM_RANKS if position else _LABEL_RANKS)[_way(name, f" {text}")], position)
            for position, name in enumerate(self.names)
            if text in name
        )

    def found_by(self, position: int) -> Entry:
        return replace(self.entry, matched=self.entry.synonyms[position - 1]) if position else self.entry


def _way(name: str, text: str) -> int:
    """In which of the four ways a name fits a text. Both begin with a blank."""
    if name == text:
        return 0
    if name.startswith(text):
        return 1
    return 2 if text in name else 3


class Catalogue:
    """The labels of one model version. Never changes, so that many threads may search it."""

    def __init__(self, labels: Sequence[str] = (), synonyms: Sequence[Sequence[str]] = ()) -> None:
        """Two classes may share a label, as ImageNet's two cranes do: for those who choose, it is one."""
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

    def __len__(self) -> int:
        return len(self._searchable)

    def search(self, text: str, *, first: Sequence[str] = (), limit: int = LIMIT) -> list[Entry]:
        """The labels that fit a text, best first: as in `search` below."""
        places = {label: place for place, label in reversed(list(enumerate(first)))}
        if not text.strip():
            likely = [self._by_label[label] for label in dict.fromkeys(first) if label in self._by_label]
            others = (one for one in self._searchable if one.entry.label not in places)
            return [one.entry for one in [*likely, *others][:limit]]
        wanted = plain(text)
        if not wanted:
            return []
        found = [(*fit, one) for one in self._searchable if (fit := one.fit(wanted))]
        # Sorting keeps the order of the alphabet among equals.
        typed = _with_capitals(text)
        found.sort(
            key=lambda hit: (
                hit[0],
                places.get(hit[2].entry.label, len(places)),
                _with_capitals(hit[2].entry.label) != typed,
            )
        )
        entries = [one.found_by(position) for _, position, one in found]
        # It takes some milliseconds, and where a word begins with the text, there was no slip.
        if len(entries) < limit and all(rank == _WITHIN for rank, _, _ in found):
            entries += self._named_in(wanted) + self._alike(wanted, places)
        once: dict[str, Entry] = {}
        for entry in entries:
            once.setdefault(entry.label, entry)
        return list(once.values())[:limit]

    def resolve(self, text: str) -> str | None:
        """The label that a text names: as in `resolve` below."""
        if text in self._by_label:
            return text
        wanted = plain(text)
        # A label's own name hides the same word among the synonyms of others.
        labels = self._labels_by_name.get(wanted) or self._labels_by_synonym.get(wanted) or set()
        if len(labels) > 1:
            labels = {label for label in labels if _with_capitals(label) == _with_capitals(text)}
        return next(iter(labels)) if wanted and len(labels) == 1 else None

    def _named_in(self, wanted: str) -> list[Entry]:
        """Those with a name that is part of the text (`cup`, for `a coffee cup`), longer names first."""
        found = [
            (one, position)
            for one in self._searchable
            for position, name in enumerate(one.names)
            if f"{name} " in f" {wanted} "
        ]
        found.sort(key=lambda hit: -len(hit[0].names[hit[1]]))
        return [one.found_by(position) for one, position in found]

    def _alike(self, wanted: str, places: Mapping[str, int]) -> list[Entry]:
        """Those that somebody may have meant who made a slip in the text, or in the beginning of a word so far."""
        if len(wanted) not in _SLIP_LENGTHS:
            return []
        beginnings: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for spelling, owners in self._by_spelling.items():
            beginnings[spelling[: len(wanted) + 1]] |= owners
        best: dict[str, tuple[float, int]] = {}
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(wanted)
        for beginning, owners in beginnings.items():
            matcher.set_seq1(beginning)
            if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
                continue
            if (ratio := matcher.ratio()) < _ALIKE:
                continue
            for label, position in owners:
                best[label] = min(best.get(label, (0.0, 0)), (-ratio, position))
        ranked = sorted(best, key=lambda label: (best[label][0], places.get(label, len(places)), label))
        return [self._by_label[label].found_by(best[label][1]) for label in ranked]


EMPTY = Catalogue()

_lock = threading.Lock()
_loaded: tuple[Path | None, str, Catalogue] = (None, "", EMPTY)


def catalogue() -> Catalogue:
    """The labels of the active model version, read once; none where no version can be used."""
    global _loaded
    name = classifiers.active_name()
    folder, loaded_name, loaded = _loaded
    if (folder, loaded_name) == (settings.MODELS_DIR, name):
        return loaded
    if not name:
        return EMPTY
    with _lock:
        if _loaded[:2] == (settings.MODELS_DIR, name):
            return _loaded[2]  # another thread was as early, and quicker
        try:
            version = classifiers.active_version()
            _loaded = (settings.MODELS_DIR, str(version), Catalogue(version.labels, version.synonyms))
        except RepositoryError:
            logger.exception("The labels of %s cannot be read.", name)
            return EMPTY
        return _loaded[2]


def search(text: str, *, first: Sequence[str] = (), limit: int = LIMIT) -> list[Entry]:
    """The labels that fit a text, best first and at most `limit`.

    Capitals, accents, hyphens and underscores make no difference. A label's own name counts more than a synonym, and a
    beginning more than a middle. Where no word begins so, labels follow whose name is part of the text or like it.

    `first` are the labels that a model thought of, best first. They break ties; without a text they lead the list of
    all labels.
    """
    return catalogue().search(text, first=first, limit=limit)


def resolve(text: str) -> str | None:
    """The label that a text names, by itself or by a synonym that only one label has; `None` if there is none."""
    return catalogue().resolve(text)
