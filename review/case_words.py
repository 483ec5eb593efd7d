"""The words of decided cases in the labels of one label set, for statistics and data sets."""

from __future__ import annotations

from typing import NamedTuple

from predictions import classifiers
from review.label_translation import LabelTranslation, version_translation
from review.models import Case


class CaseWords(NamedTuple):
    """What a case says of its picture. The fields are those of `Case`."""

    predicted_label: str
    label: str
    verdict: str
    proposed_label: str


class CaseTranslator:
    """Translates the words of cases. Each distinct word of a label set is looked up once."""

    def __init__(self, translation: LabelTranslation | None) -> None:
        """Without a translation, every word stays as it is."""
        self._translation = translation
        self._labels: dict[tuple[str, int | None, str], tuple[str, ...]] = {}
        self._proposals: dict[tuple[str, int | None, str], str] = {}

    def translate(self, words: CaseWords, model_version: str, label_set: int | None) -> CaseWords:
        """Translates the labels that were renamed or merged, and the proposed labels that a mapping names.

        The answer counts as right if it and the decided label are the same label now. A label that was split or dropped
        keeps its word; see `has_changed`.
        """
        if self._translation is None:
            return words
        predicted = self._one_label(words.predicted_label, model_version, None)
        label = self._one_label(words.label, model_version, label_set)
        verdict, proposed_label = words.verdict, words.proposed_label
        if proposed_label and (became := self._proposal(proposed_label, model_version, label_set)):
            label, proposed_label = became, ""
        if label and verdict in {Case.Outcome.CORRECTED, Case.Outcome.NO_LABEL}:
            verdict = Case.Outcome.RIGHT if label == predicted else Case.Outcome.CORRECTED
        return CaseWords(predicted, label, str(verdict), proposed_label)

    def has_changed(self, label: str, model_version: str, label_set: int | None) -> bool:
        """Whether a label was split or dropped, so that only a reviewer can say which one it is now."""
        return bool(label) and len(self._became(label, model_version, label_set)) != 1

    def _one_label(self, word: str, model_version: str, label_set: int | None) -> str:
        became = self._became(word, model_version, label_set) if word else ()
        return became[0] if len(became) == 1 else word

    def _became(self, word: str, model_version: str, label_set: int | None) -> tuple[str, ...]:
        if self._translation is None:
            return (word,)
        key = model_version, label_set, word
        if key not in self._labels:
            self._labels[key] = self._translation.words(word, model_version, label_set)
        return self._labels[key]

    def _proposal(self, text: str, model_version: str, label_set: int | None) -> str:
        """Returns the label that a proposed label became, or an empty string."""
        key = model_version, label_set, text
        if key not in self._proposals and self._translation is not None:
            became = self._translation.proposed(text, model_version, label_set)
            self._proposals[key] = became[0] if became and len(became) == 1 else ""
        return self._proposals[key]


def counts_as(case: Case) -> str:
    """Returns the label that a case counts as now, or an empty string if it is the one that it was decided as.

    No query if the active version has answered and the case did not come back; otherwise two small ones.
    """
    if not case.named or (case.label_set_id is None and case.model_version == classifiers.active_name()):
        return ""
    words = CaseWords(case.predicted_label, case.label, case.verdict, case.proposed_label)
    now = CaseTranslator(version_translation()).translate(words, case.model_version, case.label_set_id)
    return now.label if now.label != case.label else ""
