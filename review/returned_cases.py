"""Cases that came back to the desk because labels changed. Reviewers decide them with the labels of the active version.

Their answers and statements still have the words of the version that answered; these are translated.
"""

from __future__ import annotations

from collections.abc import Callable

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
    return _match(_translation(case), case, text)


def _match(translation: LabelTranslation, case: Case, text: str) -> str | None:
    if text in translation.target:
        return text
    became = translation.words(text, case.model_version)
    if reason := changed(text, became):
        raise RequestRejected("label-changed", f"{reason} Which label is it now?")
    if became[0] in translation.target:
        return became[0]
    found = labels.index().resolve(text)
    return found if found and found in translation.target else None


def is_answer(case: Case, label: str) -> bool:
    """Whether the model's answer, in the words of the active version, is this label or a word that may mean it."""
    translation = _translation(case)
    became = translation.words(case.predicted_label, case.model_version)
    meant = [one.display_name for word in became for one in translation.target.meant_by(word)]
    return len(became) == 1 and label in {*became, *meant}


def current_words(case: Case) -> Callable[[str], str]:
    """Returns a function that translates the words of a case that has returned, to offer them to a reviewer.

    It returns an empty string for a word that cannot be chosen any more.
    """
    translation = _translation(case)

    def current(word: str) -> str:
        try:
            return _match(translation, case, word) or ""
        except RequestRejected:
            return ""

    return current


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
