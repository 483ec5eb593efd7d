"""The labels that a case is decided with.

These are the labels of the version that answered, unless labels have changed. A case is decided with the labels of the
active version if it came back to the desk, or if a mapping leads to them from the labels of the version that answered.
The answer and the statements of such a case still have their earlier words; these are translated.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from predictions import classifiers, labels
from predictions.exceptions import RequestRejected
from review.label_sets import active_version, remember, stored_labels
from review.label_translation import LabelTranslation, translation_to, version_translation
from review.label_wording import changed, quoted
from review.models import Case, LabelSet
from worker.inference.repository import ModelVersion


class Meaning(NamedTuple):
    """What a word of the model or of people means in the labels that a case is decided with.

    Attributes:
        label: the label that it stands for, or an empty string if it stands for none, or for several.
        became: the labels that it was split into, or that share it.
        reason: a sentence that says why it stands for no label.
    """

    label: str
    became: tuple[str, ...] = ()
    reason: str = ""


class AnsweredLabels:
    """The labels of the version that answered, and those that people expect.

    Statements may be about the answers of other versions.
    """

    version_name = ""  # of the active version, if its labels are the ones

    def __init__(self, case: Case) -> None:
        self._case = case

    def match(self, text: str) -> str | None:
        """Returns the label that a reviewer's text names; otherwise `None`.

        Raises `RequestRejected` `label-changed` if it names one that was split or dropped.
        """
        case = self._case
        if text in {case.predicted_label, case.expected_label}:
            return text
        if label := labels.match(text, case.prediction):
            return label
        return text if text in case.people_expect else None

    def meaning(self, word: str) -> Meaning:
        """Returns what a word of the model or of people means."""
        return Meaning(word)

    def label_of(self, word: str) -> str:
        """Returns the label that a word of the model or of people stands for.

        Raises `RequestRejected` `label-changed` if there is none.
        """
        meaning = self.meaning(word)
        if not meaning.label:
            raise RequestRejected("label-changed", f"{meaning.reason} Which label is it now?")
        return meaning.label

    def several(self, text: str) -> list[str]:
        """Returns the labels that share a name or synonym that a reviewer has typed, if there are several."""
        return self._several(labels.index(self._case.model_version), text)

    @staticmethod
    def _several(index: labels.LabelIndex, text: str) -> list[str]:
        found = [label.display_name for label in index.find(text)]
        return found if len(found) > 1 else []

    def label_set(self) -> LabelSet | None:
        """Returns the label set to store with a decision: none for the labels of the version that answered."""
        return None

    def is_answer(self, label: str) -> bool:
        """Whether the model said this label, or a word that may mean it."""
        case = self._case
        meant = labels.meant_by(case.predicted_label, case.model_version)
        return label in {case.predicted_label, *(one.display_name for one in meant)}


class ActiveLabels(AnsweredLabels):
    """The labels of the active version. If none is usable, those that the case came back for."""

    def __init__(self, case: Case, translation: LabelTranslation, version: ModelVersion | None) -> None:
        super().__init__(case)
        self._translation = translation
        self._target = translation.target
        self._version = version
        self.version_name = str(version) if version else f"label set {case.label_set_id}"

    def several(self, text: str) -> list[str]:
        return self._several(labels.index(), text)

    def label_set(self) -> LabelSet | None:
        return remember(self._version) if self._version else self._case.label_set

    def match(self, text: str) -> str | None:
        """See `AnsweredLabels.match`. A word of earlier labels stands for the label that it became."""
        if text in self._target:
            return text
        if reason := changed(text, self._became(text)):
            raise RequestRejected("label-changed", f"{reason} Which label is it now?")
        return self.meaning(text).label or None

    def meaning(self, word: str) -> Meaning:
        became = self._became(word)
        if reason := changed(word, became):
            return Meaning("", tuple(label for label in became if label in self._target), reason)
        meant = [label.display_name for label in self._target.meant_by(became[0])]
        if len(meant) == 1:
            return Meaning(meant[0])
        if meant:
            return Meaning("", tuple(meant), f"Several labels share the word {quoted(word)}.")
        found = labels.index().resolve(word)  # a synonym
        if found and found in self._target:
            return Meaning(found)
        return Meaning("", reason=f"There is no label {quoted(word)} any more.")

    def is_answer(self, label: str) -> bool:
        became = self._became(self._case.predicted_label)
        meant = [one.display_name for word in became for one in self._target.meant_by(word)]
        return len(became) == 1 and label in {*became, *meant}

    def _became(self, word: str) -> tuple[str, ...]:
        return self._translation.words(word, self._case.model_version)


class CurrentLabels:
    """Says for cases which labels they are decided with. Reads what it needs once, in three small queries at most.

    It needs no query for cases that the active version has answered and that did not come back.
    """

    def of(self, case: Case) -> AnsweredLabels:
        if case.label_set_id is None and case.model_version == self._active_name:
            return AnsweredLabels(case)
        translation = self._translation
        if translation is None:
            stored = case.label_set
            return ActiveLabels(case, translation_to(stored_labels(stored)), None) if stored else AnsweredLabels(case)
        if case.label_set_id is not None or translation.is_mapped(case.model_version):
            return ActiveLabels(case, translation, self._version)
        return AnsweredLabels(case)

    @cached_property
    def _active_name(self) -> str:
        return classifiers.active_name()

    @cached_property
    def _version(self) -> ModelVersion | None:
        return active_version()

    @cached_property
    def _translation(self) -> LabelTranslation | None:
        return version_translation(self._version) if self._version else None


def labels_of(case: Case) -> AnsweredLabels:
    """Returns the labels that a case is decided with."""
    return CurrentLabels().of(case)
