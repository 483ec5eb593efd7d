"""Returns decided cases to the desk whose label was split or dropped, or whose proposed label is a label now."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from predictions import labels
from review.label_translation import LabelTranslation, version_translation
from review.models import Case, CaseQuerySet
from worker.inference.repository import ModelVersion


@dataclass(frozen=True)
class ReturningCases:
    """Decided cases that come back for the same reason. `words`: their columns that name a label and whose it is."""

    words: tuple[str, int | None, str, str]
    number: int
    reason: str

    def cases(self) -> CaseQuerySet:
        model_version, label_set, label, proposed_label = self.words
        return _decided().filter(
            model_version=model_version, label_set=label_set, label=label, proposed_label=proposed_label
        )


def returning_cases(version: ModelVersion) -> list[ReturningCases]:
    """Returns the decided cases that reviewers have to look at again if a version answers. Changes nothing."""
    translation = version_translation(version)
    if translation is None:
        return []
    columns = ("model_version", "label_set", "label", "proposed_label")
    rows = _decided().order_by().values_list(*columns).annotate(number=Count("pk"))
    found = []
    for *words, number in rows:
        if reason := _reason(translation, version, *words):
            found.append(ReturningCases((words[0], words[1], words[2], words[3]), number, reason))
    return found


def _decided() -> CaseQuerySet:
    """Decided cases with a label or a proposal. Nobody can judge an erased picture again."""
    decided = Case.objects.filter(state=Case.State.DECIDED).exclude(verdict=Case.Outcome.UNUSABLE)
    return decided.exclude(image__file="")


def _reason(
    translation: LabelTranslation,
    version: ModelVersion,
    model_version: str,
    label_set: int | None,
    label: str,
    proposed_label: str,
) -> str:
    """Returns why a case with these words comes back, or an empty string if it doesn't."""
    if label:
        return changed(label, translation.words(label, model_version, label_set))
    mapped = translation.proposed(proposed_label, model_version, label_set)
    if mapped is not None:
        return changed(proposed_label, mapped)
    source = translation.source(model_version, label_set)
    if source is not None and source.fingerprint == translation.target.fingerprint:
        return ""  # whoever proposed it could have chosen the label
    found = labels.index(str(version)).resolve(proposed_label)
    return f"There is a label {quoted(found)} now." if found else ""


def changed(word: str, becomes: tuple[str, ...]) -> str:
    """Says that a label was split or dropped. Returns an empty string if it became one other label, or is the same."""
    if len(becomes) == 1:
        return ""
    if not becomes:
        return f"The label {quoted(word)} was dropped."
    *first, last = map(quoted, becomes)
    return f"The label {quoted(word)} was split into {', '.join(first)} and {last}."


def quoted(label: str) -> str:
    return f"“{label.replace('_', ' ')}”"
