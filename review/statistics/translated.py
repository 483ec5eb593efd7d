"""Counts of cases with all words in the labels of one label set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
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
    if translation is None:
        return TranslatedCounts(list(counts))
    translator = CaseTranslator(translation)
    found: list[CaseCount] = []
    words: defaultdict[str, set[str]] = defaultdict(set)
    for count in counts:
        before = CaseWords(count.predicted_label, count.label, count.verdict, count.proposed_label)
        after = translator.translate(before, count.model_version, count.label_set)
        words[after.predicted_label].add(count.predicted_label)
        words[after.label].add(count.label)  # no word if the label was a proposal
        found.append(count if after == before else count._replace(**after._asdict()))
    return TranslatedCounts(found, words)
