"""What a picture shows according to a person who says that the answer is wrong: a label, their own words, or both."""

from __future__ import annotations

from predictions import labels
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from worker.inference.spelling import normalize

MAX_LENGTH = 200


def label_and_words(
    prediction: Prediction,
    *,
    expected: str = "",
    expected_label: str = "",
    expected_label_id: str = "",
    expected_words: str = "",
) -> tuple[str, str]:
    """Returns the label and the words to store, for labels of the model version that answered.

    `expected` becomes the label if it names one, and otherwise part of the words. `expected_label` must name a label,
    and `expected_label_id` must be the id of one. The caller gives at most one of these three.

    Raises `RequestRejected`: `unknown-label`, `words-too-long`, `label-is-the-answer`.
    """
    if expected_label_id:
        expected_label = _label_with_id(expected_label_id, prediction)
    label, words = _known_label(expected_label, prediction), expected_words
    if expected:
        label = labels.match(expected, prediction) or ""
        words = words if label else ", ".join(filter(None, [expected, expected_words]))
    if len(words) > MAX_LENGTH:
        message = f"Your words have {len(words)} characters; at most {MAX_LENGTH} are kept."
        raise RequestRejected("words-too-long", message)
    if prediction.label in {label, labels.match(words, prediction)}:
        raise RequestRejected("label-is-the-answer", _is_the_answer(expected or expected_label or words, prediction))
    return label, words


def _known_label(text: str, prediction: Prediction) -> str:
    label = labels.match(text, prediction) if text else ""
    if label is None:
        raise RequestRejected("unknown-label", _unknown(text, prediction))
    return label


def _label_with_id(label_id: str, prediction: Prediction) -> str:
    # If that version has been removed, these are the labels of the active one, which the search offers, too.
    label = labels.index(prediction.model_version).with_id(label_id)
    if label is None:
        message = f"We have no label with the id “{label_id[:100]}”."
        raise RequestRejected("unknown-label", message)
    return label.display_name


def _unknown(text: str, prediction: Prediction) -> str:
    meant = labels.index(prediction.model_version).find(text)
    if not meant:
        return f"We have no label “{text[:100]}”. The field “expected” takes any words."
    names = " or ".join(f"“{label.display_name}”" for label in meant[:5])
    return f"“{text[:100]}” may be {names}. Please send one of them."


def _is_the_answer(text: str, prediction: Prediction) -> str:
    name = labels.readable(prediction.label)
    said = f"The model said “{name}” too."
    if normalize(text) != normalize(name):
        said = f"“{text}” is another name for “{name}”, which the model said."
    return f"{said} If that is right, choose “Yes”. If not, say what else it is, or leave this empty."
