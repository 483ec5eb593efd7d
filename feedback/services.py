"""Everything that people say comes in through here: from the page, the API, and old clients."""

from __future__ import annotations

from django.db import transaction

from feedback import mirror
from feedback.models import Feedback
from feedback.signals import feedback_stored, feedback_storing
from predictions import labels
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction


def feedback_give(
    *,
    prediction: Prediction,
    author: str,
    verdict: str,
    expected_label: str = "",
    expected_words: str = "",
    comment: str = "",
) -> Feedback:
    """Stores one statement about an answer and, once it is committed, appends it to the mirror.

    It takes the place of what the same author (see `authors`) said of the same prediction before, until a reviewer has
    decided. `wrong` and `unsure` open a case.

    Raises `RequestRejected`: `no-answer` if there is nothing to speak of, `unknown-label`, `decided`.
    """
    if not prediction.is_done:
        raise RequestRejected("no-answer", "There is no answer yet that could be right or wrong.", status=409)
    feedback = Feedback(
        prediction=prediction,
        author=author,
        verdict=verdict,
        expected_label=_known_label(expected_label, prediction),
        expected_words=expected_words,
        comment=comment,
    )
    _store(feedback, prediction)
    return feedback


def _known_label(text: str, prediction: Prediction) -> str:
    if not text or any(text == label for label, _score in prediction.top):
        return text
    label = labels.resolve(text)
    if label is None:
        message = f"“{text[:100]}” is none of the labels. Choose one of them, or say it in other words."
        raise RequestRejected("unknown-label", message)
    return label


def _store(feedback: Feedback, prediction: Prediction) -> None:
    """Stores a statement in place of its author's earlier one about the same prediction."""
    with transaction.atomic():
        # Statements about one image are stored one after the other: each counts all that came before it.
        Image.objects.select_for_update(no_key=True).get(pk=prediction.image_id)
        earlier = Feedback.objects.current().filter(prediction=prediction, author=feedback.author)
        replaced = earlier.update(is_current=False)
        feedback_storing.send(Feedback, feedback=feedback, prediction=prediction, replaces=bool(replaced))
        feedback.save(force_insert=True)
        feedback_stored.send(Feedback, feedback=feedback, prediction=prediction)
        transaction.on_commit(lambda: mirror.append(feedback))


def report_take(*, text: str) -> Feedback:
    """Stores the report of an old client, which names no prediction, and appends it to the mirror."""
    feedback = Feedback.objects.create(comment=text)
    transaction.on_commit(lambda: mirror.append(feedback))
    return feedback
