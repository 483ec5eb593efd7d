"""Search in the names and synonyms of the labels of one model version."""

from __future__ import annotations

import difflib
import heapq
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from worker.inference.repository.labels import Label
from worker.inference.spelling import comparable, folded, with_case

# The ranks of the four kinds of match: the name equals the text, starts with it, has a word that starts with it, or
# contains it. Lower ranks come first in the results: a label's own name counts more than a synonym.
_NAME_RANKS = (0, 2, 3)
_SYNONYM_RANKS = (1, 4, 5)
_CONTAINED_RANK = 6

# The lengths of texts that are searched for typos. Shorter texts are all similar to each other, and hardly any label
# is longer.
_TYPO_LENGTHS = range(4, 41)
# The least similarity of two spellings, as `difflib` computes it, 0 to 1: one letter in five may differ.
_MIN_SIMILARITY = 0.8
# How many spellings a text is compared with: `difflib` takes 10 ms for them.
MOST_COMPARED = 300
# How many texts each index remembers the labels of: to find them takes some milliseconds. Of each text, up to 300.
_REMEMBERED_TEXTS = 256
# Of longer texts, only the beginning is searched for names of labels.
_MAX_WORDS = 40


def other_names(label: Label) -> tuple[str, ...]:
    """Returns the synonyms that do not only repeat the label's own name."""
    return tuple(_synonyms(label, _own_names(label)).values())


def _own_names(label: Label) -> tuple[str, ...]:
    return tuple(dict.fromkeys(comparable(name) for name in (label.display_name, label.name)))


def _synonyms(label: Label, own: Sequence[str]) -> dict[str, str]:
    """Returns each synonym by its comparable form."""
    synonyms: dict[str, str] = {}
    for synonym in label.synonyms:
        synonyms.setdefault(comparable(synonym), synonym)
    return {name: synonym for name, synonym in synonyms.items() if name not in own}


@dataclass(frozen=True)
class LabelMatch:
    """A label that a search found. `matched`: the one of its `synonyms` that it was found by, if any."""

    label: Label
    synonyms: tuple[str, ...] = ()
    matched: str = ""


@dataclass(frozen=True)
class _Searchable:
    """A label with its comparable names: first its `own` own ones, then its synonyms."""

    label: Label
    synonyms: tuple[str, ...]
    names: tuple[str, ...]
    own: int
    all_names: str

    @classmethod
    def of(cls, label: Label) -> _Searchable:
        own = _own_names(label)
        synonyms = _synonyms(label, own)
        names = (*own, *synonyms)
        return cls(label, tuple(synonyms.values()), names, len(own), "\n".join(names))

    def found_by(self, position: int = 0) -> LabelMatch:
        """Returns the match of the name at this position."""
        matched = self.synonyms[position - self.own] if position >= self.own else ""
        return LabelMatch(self.label, self.synonyms, matched)


class LabelSearch:
    """Finds labels by texts that people type. It is immutable, so many threads may use it."""

    def __init__(self, labels: Iterable[Label]) -> None:
        searchable = [_Searchable.of(label) for label in labels]
        self._labels = sorted(searchable, key=lambda one: (one.names[0], one.label.display_name))
        self._by_word = {one.label.display_name: one for one in self._labels}
        self._by_id = {one.label.id: one.label for one in self._labels}
        self._by_folded_id: dict[str, list[Label]] = defaultdict(list)
        self._by_exact_name: dict[str, Label] = {}
        self._by_name: dict[str, list[Label]] = defaultdict(list)
        self._by_synonym: dict[str, list[Label]] = defaultdict(list)
        # (label, position of the name) of each name, and of each of its words
        self._by_spelling: dict[str, list[tuple[int, int]]] = defaultdict(list)
        # the rest of each name from each of its words on, with the label, the name's position and the word's
        self._ends: list[tuple[str, int, int, int]] = []
        for index, one in enumerate(self._labels):
            self._by_folded_id[folded(one.label.id)].append(one.label)
            self._by_exact_name.setdefault(with_case(one.label.display_name), one.label)
            for position, name in enumerate(one.names):
                (self._by_name if position < one.own else self._by_synonym)[name].append(one.label)
                words = name.split(" ")
                for spelling in {name, *words}:
                    self._by_spelling[spelling].append((index, position))
                self._ends += [(" ".join(words[start:]), index, position, start) for start in range(len(words))]
        self._ends.sort()
        self._index_of_word = {one.label.display_name: index for index, one in enumerate(self._labels)}
        self._remembered = lru_cache(_REMEMBERED_TEXTS)(self._starting_with)
        self._similarities = lru_cache(_REMEMBERED_TEXTS)(self._compare)

    def prepare(self) -> None:
        """Makes the tables that only a text with a typo needs."""
        _ = self._spellings

    def search(self, text: str, *, first: Sequence[str] = (), limit: int) -> list[LabelMatch]:
        """Returns up to `limit` labels that match a text, best match first.

        Case, accents, hyphens and underscores make no difference. A label's own name counts more than a synonym, and
        the start of a name or word more than its middle. If no word starts with the text, the results also include
        labels whose name is part of the text or similar to it.

        `first` are display names of likely labels, best first. They break ties; for an empty text they come first.
        """
        positions = {word: position for position, word in reversed(list(enumerate(first)))}
        if not text.strip():
            likely = [self._by_word[word] for word in dict.fromkeys(first) if word in self._by_word]
            others = (one for one in self._labels if one.label.display_name not in positions)
            listed = (one for group in (likely, others) for one in group)
            return [one.found_by() for one, _ in zip(listed, range(limit), strict=False)]
        wanted = comparable(text)
        if not wanted:
            return []
        best = dict(self._remembered(wanted, limit))
        # Those of the predicted labels may be too low in the alphabet to be among the best without a prediction.
        best |= {index: match for index in self._indexes(positions) if (match := self._match(index, wanted))}
        typed = with_case(text)

        def order(index: int) -> tuple[int, int, bool, int]:
            word, rank = self._labels[index].label.display_name, best[index][0]
            return rank, positions.get(word, len(positions)), rank == 0 and with_case(word) != typed, index

        found = [self._labels[index].found_by(best[index][1]) for index in sorted(best, key=order)[:limit]]
        if len(found) < limit:
            found += self._containing(wanted, best, positions)
        # Skipped if a word starts with the text: then it has no typo, and this takes some milliseconds.
        if len(found) < limit and not best:
            found += self._named_in(wanted) + self._similar(wanted, positions)
        once: dict[str, LabelMatch] = {}
        for one in found:
            once.setdefault(one.label.display_name, one)
        return list(once.values())[:limit]

    def resolve(self, text: str) -> Label | None:
        """Returns the label that a text names, by its own name or by a synonym of no other label; otherwise `None`."""
        labels = self._named(text)
        return labels[0] if len(labels) == 1 else None

    def find(self, text: str) -> Sequence[Label]:
        """Returns the labels that a text in a file names: one by its display name, its id or another name.

        There are several if they share the name, and none if no label has it.
        """
        if text not in self._by_word and text in self._by_id:
            return [self._by_id[text]]
        return self._named(text) or self._by_folded_id.get(folded(text), [])

    def _named(self, text: str) -> Sequence[Label]:
        if text in self._by_word:
            return [self._by_word[text].label]
        if exact := self._by_exact_name.get(with_case(text)):
            return [exact]
        wanted = comparable(text)
        # A label's own name takes precedence over the same word among the synonyms of others.
        return self._by_name.get(wanted) or self._by_synonym.get(wanted) or [] if wanted else []

    def _starting_with(self, wanted: str, limit: int) -> dict[int, tuple[int, int]]:
        """Returns the best `limit` labels that have a word that starts with the text.

        Each has its rank and the position of the name. Of 12,000 labels, all may match a single letter.
        """
        best: dict[int, tuple[int, int]] = {}
        for at in range(bisect_left(self._ends, (wanted,)), len(self._ends)):
            end, index, position, word = self._ends[at]
            if not end.startswith(wanted):
                break
            match = self._rank(index, position, word, end == wanted), position
            if index not in best or match < best[index]:
                best[index] = match
        if len(best) <= limit:
            return best
        ranked = heapq.nsmallest(limit, ((rank, index, position) for index, (rank, position) in best.items()))
        return {index: (rank, position) for rank, index, position in ranked}

    def _rank(self, index: int, position: int, word: int, is_all: bool) -> int:
        """Returns the rank of a match with the name at `position`, from its word number `word` on."""
        ranks = _NAME_RANKS if position < self._labels[index].own else _SYNONYM_RANKS
        return ranks[2] if word else ranks[0] if is_all else ranks[1]

    def _match(self, index: int, wanted: str) -> tuple[int, int] | None:
        """Returns the match of one label, as `_starting_with` does."""
        found = []
        for position, name in enumerate(self._labels[index].names):
            words = name.split(" ")
            for word in range(len(words)):
                end = " ".join(words[word:])
                if end.startswith(wanted):
                    found.append((self._rank(index, position, word, end == wanted), position))
        return min(found, default=None)

    def _indexes(self, words: Iterable[str]) -> list[int]:
        """Returns the indexes of these labels, as far as they are known."""
        return [self._index_of_word[word] for word in words if word in self._index_of_word]

    def _containing(self, wanted: str, found: Mapping[int, object], positions: Mapping[str, int]) -> list[LabelMatch]:
        """Returns the other labels that contain the text within a word."""
        hits = [one for index, one in enumerate(self._labels) if wanted in one.all_names and index not in found]
        hits.sort(key=lambda one: positions.get(one.label.display_name, len(positions)))
        return [
            one.found_by(next(position for position, name in enumerate(one.names) if wanted in name)) for one in hits
        ]

    def _named_in(self, wanted: str) -> list[LabelMatch]:
        """Returns the labels whose name is part of the text (`cup` for `a coffee cup`), longer names first."""
        words = wanted.split(" ")[:_MAX_WORDS]
        parts = {" ".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words) + 1)}
        found = [
            (-len(part), index, position)
            for part in parts
            for index, position in self._by_spelling.get(part, ())
            if self._labels[index].names[position] == part
        ]
        return [self._labels[index].found_by(position) for _, index, position in sorted(found)]

    def _similar(self, wanted: str, positions: Mapping[str, int]) -> list[LabelMatch]:
        """Returns the labels that the text may mean if it has a typo. The text may also be the beginning of a name."""
        if len(wanted) not in _TYPO_LENGTHS:
            return []
        best = self._similarities(wanted)
        ranked = sorted(
            best,
            key=lambda index: (
                best[index][0],
                positions.get(self._labels[index].label.display_name, len(positions)),
                index,
            ),
        )
        return [self._labels[index].found_by(best[index][1]) for index in ranked]

    def _compare(self, wanted: str) -> Mapping[int, tuple[float, int]]:
        """Returns the labels that are similar to a text, each with its negative similarity and the name's position."""
        beginnings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for spelling in self._spellings.with_letters_of(wanted):
            beginnings[spelling[: len(wanted) + 1]] += self._by_spelling[spelling]
        best: dict[int, tuple[float, int]] = {}
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(wanted)
        for beginning, owners in beginnings.items():
            matcher.set_seq1(beginning)
            if matcher.real_quick_ratio() < _MIN_SIMILARITY or matcher.quick_ratio() < _MIN_SIMILARITY:
                continue
            if (ratio := matcher.ratio()) < _MIN_SIMILARITY:
                continue
            for index, position in owners:
                best[index] = min(best.get(index, (0.0, 0)), (-ratio, position))
        return best

    @cached_property
    def _spellings(self) -> _Spellings:
        return _Spellings(self._by_spelling)


class _Spellings:
    """Finds the few spellings that may be similar to a text: `difflib` takes 80 to 280 ms for 33,000."""

    def __init__(self, spellings: Iterable[str]) -> None:
        self._spellings = list(spellings)
        self._by_pair: dict[str, array[int]] = defaultdict(lambda: array("I"))
        for number, spelling in enumerate(self._spellings):
            for pair in _pairs(spelling):
                self._by_pair[pair].append(number)

    def with_letters_of(self, text: str) -> list[str]:
        """Returns the spellings that share enough pairs of adjacent letters with a text: of too many, those with most.

        In a similar spelling, at most a fifth of the letters differ. Each of these breaks at most two pairs.
        """
        pairs = _pairs(text)
        least = max(1, len(pairs) - 2 * round(len(text) * (1 - _MIN_SIMILARITY) + 1))
        shared: Counter[int] = Counter()
        for pair in pairs:
            shared.update(self._by_pair.get(pair, ()))
        return [self._spellings[number] for number, count in shared.most_common(MOST_COMPARED) if count >= least]


def _pairs(text: str) -> set[str]:
    return {text[start : start + 2] for start in range(len(text) - 1)}
