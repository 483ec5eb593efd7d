"""Cases that came back to the desk because labels changed. Reviewers decide them with the labels of the active version.

Their answers and statements still have the words of the version that answered; these are translated.
"""

from __future__ import annotations

from predictions import labels
from predictions.exceptions import RequestRejected
from review.label_sets import active_version, remember, stored_labels
from review.label_translation import LabelTranslation, translation_to, version_translation
from review.label_wording import changed, quoted
from review.models import Case
from worker.inference.repository import RepositoryError


def has_returned(case: Case) -> bool:
    return case.label_set_id is not None


def use_current_labels(case: Case) -> None:
    """Notes on a case that has returned, without saving it, that its decision has the active version's labels."""
    version = active_version() if has_returned(case) else None
    if version is None:
        return
    try:
        case.label_set = remember(version)
    except RepositoryError:
        return  # the decision has the labels that the case came back for


def match(case: Case, text: str) -> str | None:
    """Returns the label that a text names for a case that has returned; otherwise `None`.

    A word of the earlier labels stands for the label that it became. Raises `RequestRejected` `label-changed` if it was
    split or dropped.
    """
    translation = _translation(case)
    if text in translation.target.ids:
        return text
    became = translation.words(text, case.model_version)
    if reason := changed(text, became):
        raise RequestRejected("label-changed", f"{reason} Which label is it now?")
    if became[0] in translation.target.ids:
        return became[0]
    found = labels.index().resolve(text)
    return found if found in translation.target.ids else None


def is_answer(case: Case, label: str) -> bool:
    """Whether the model's answer, in the words of the active version, is this label."""
    return _translation(case).words(case.predicted_label, case.model_version) == (label,)


def confirmed_label(case: Case) -> str:
    """Returns the label of the model's answer. Raises `RequestRejected` `label-changed` if it is none any more."""
    label = match(case, case.predicted_label)
    if label is None:
        message = f"There is no label {quoted(case.predicted_label)} any more. Which label is it now?"
        raise RequestRejected("label-changed", message)
    return label


def _translation(case: Case) -> LabelTranslation:
    translation = version_translation()
    if translation is not None:
        return translation
    assert case.label_set is not None  # noqa: S101 - the case has returned
    return translation_to(stored_labels(case.label_set))
