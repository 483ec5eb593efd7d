"""Counts of cases with all words in the labels of one label set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from review.case_words import CaseTranslator, CaseWords
from review.label_translation import LabelTranslation
from review.models import Case
from review.statistics.queries import CaseCount

Columns = tuple[str, ...]
Words = tuple[str, ...]  # one for each of the columns


@dataclass(frozen=True)
class TranslatedCounts:
    """`stored`: the same counts in the words that rows have."""

    counts: Sequence[CaseCount]
    stored: Sequence[CaseCount]

    def row_words(self, columns: Columns, model_version: str = "") -> dict[Words, Words]:
        """Returns the words that the rows of decided cases have in these columns, for the labels that they became.

        Leaves out labels whose cases have different words, or none because the label was a proposal, and those whose
        words other cases have, too. With a model version, only its cases count.
        """
        words: defaultdict[Words, set[Words]] = defaultdict(set)
        labels: defaultdict[Words, set[Words]] = defaultdict(set)
        for count, stored in zip(self.counts, self.stored, strict=True):
            if count.state == Case.State.DECIDED and model_version in {"", count.model_version}:
                label = tuple(getattr(count, column) for column in columns)
                word = tuple(getattr(stored, column) for column in columns)
                words[label].add(word)
                labels[word].add(label)
        only = {label: next(iter(found)) for label, found in words.items() if len(found) == 1}
        return {label: word for label, word in only.items() if "" not in word and len(labels[word]) == 1}


def translated(counts: Iterable[CaseCount], translation: LabelTranslation | None) -> TranslatedCounts:
    """Translates the words of all counts; see `CaseTranslator.translate`."""
    stored = list(counts)
    translator = CaseTranslator(translation)
    if not _is_needed(stored, translator):
        return TranslatedCounts(stored, stored)
    found: list[CaseCount] = []
    for count in stored:
        before = CaseWords(count.predicted_label, count.label, count.verdict, count.proposed_label)
        after = translator.translate(before, count.model_version, count.label_set)
        found.append(count if after == before else _with_words(count, after))
    return TranslatedCounts(found, stored)


def _is_needed(counts: Sequence[CaseCount], translator: CaseTranslator) -> bool:
    """Whether a word changes. On most sites none does, and there are far fewer distinct words than counts."""
    words = {("", count.label, count.proposed_label, count.model_version, count.label_set) for count in counts}
    words |= {(count.predicted_label, "", "", count.model_version, None) for count in counts}
    for predicted, label, proposed_label, model_version, label_set in words:
        before = CaseWords(predicted, label, "", proposed_label)
        if translator.translate(before, model_version, label_set) != before:
            return True
    return False


def _with_words(count: CaseCount, words: CaseWords) -> CaseCount:
    """Does what `_replace` does, in a third of the time."""
    return CaseCount(
        words.predicted_label,
        words.label,
        count.model_version,
        count.state,
        words.verdict,
        count.in_audit,
        count.is_disputed,
        count.number,
        words.proposed_label,
        count.label_set,
    )
