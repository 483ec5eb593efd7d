"""Counts of cases with all words in the labels of one label set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from review.case_words import CaseTranslator, CaseWords
from review.label_translation import LabelTranslation
from review.statistics.queries import CaseCount


@dataclass(frozen=True)
class TranslatedCounts:
    """`words`: the words that rows have for a label, if they are not just the label itself."""

    counts: list[CaseCount]
    words: Mapping[str, set[str]] = field(default_factory=dict)

    def only_word(self, label: str) -> str | None:
        """Returns the word that all rows have for a label, or `None` if they have several."""
        found = self.words.get(label, {label})
        return next(iter(found)) if len(found) == 1 else None


def translated(counts: Iterable[CaseCount], translation: LabelTranslation | None) -> TranslatedCounts:
    """Translates the words of all counts; see `CaseTranslator.translate`."""
    counts = list(counts)
    translator = CaseTranslator(translation)
    if not _is_needed(counts, translator):
        return TranslatedCounts(counts)
    found: list[CaseCount] = []
    words: defaultdict[str, set[str]] = defaultdict(set)
    for count in counts:
        before = CaseWords(count.predicted_label, count.label, count.verdict, count.proposed_label)
        after = translator.translate(before, count.model_version, count.label_set)
        words[after.predicted_label].add(count.predicted_label)
        words[after.label].add(count.label)  # no word if the label was a proposal
        found.append(count if after == before else _with_words(count, after))
    return TranslatedCounts(found, words)


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
