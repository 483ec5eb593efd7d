"""Stores feedback, whether it comes from the result page, the API or a legacy client."""

from __future__ import annotations

from django.db import transaction

from feedback import mirror
from feedback.expected import label_and_words
from feedback.history.merging import history_gather
from feedback.models import Feedback
from feedback.signals import feedback_stored, feedback_storing
from predictions import erasing, visitors
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction


def allows_expected(verdict: str) -> bool:
    """Returns whether a statement with this verdict may name the expected answer, as a label or in words."""
    return verdict == Feedback.Verdict.WRONG


def feedback_give(
    *,
    prediction: Prediction,
    author: str,
    verdict: str,
    expected: str = "",
    expected_label: str = "",
    expected_label_id: str = "",
    expected_words: str = "",
    comment: str = "",
    sender: str = "",
) -> Feedback:
    """Stores one statement about an answer and, after the commit, appends it to the mirror.

    It replaces the earlier statement of the same author (see `authors`) about the same prediction, until a reviewer has
    decided. `wrong` and `unsure` open a case. `expected` and the three fields after it: see `feedback.expected`.
    `sender`: see `authors.api_sender`.

    Raises `RequestRejected`: `deleted`; `no-answer` if the prediction has no answer; `label-without-wrong`,
    `unknown-label`, `words-too-long`, `label-is-the-answer`, `decided`.
    """
    erasing.require_not_erased(prediction)
    if not prediction.is_done:
        raise RequestRejected("no-answer", "There is no answer yet that could be right or wrong.", status=409)
    if (expected or expected_label or expected_label_id or expected_words) and not allows_expected(verdict):
        message = "Only feedback with the verdict “wrong” can name an expected label or expected words."
        raise RequestRejected("label-without-wrong", message)
    label, words = label_and_words(
        prediction,
        expected=expected,
        expected_label=expected_label,
        expected_label_id=expected_label_id,
        expected_words=expected_words,
    )
    feedback = Feedback(
        prediction=prediction,
        author=author,
        sender=sender,
        verdict=verdict,
        expected_label=label,
        expected_words=words,
        comment=comment,
    )
    _store(feedback, prediction)
    if into := visitors.merged_into(author):  # since the request came: the merge has not moved this statement
        history_gather(into)
    return feedback


def _store(feedback: Feedback, prediction: Prediction) -> None:
    """Stores a statement in place of its author's earlier one about the same prediction."""
    with transaction.atomic():
        # The lock serializes statements about one image, so that each is counted together with all before it.
        list(Image.objects.select_for_update(no_key=True).filter(pk=prediction.image_id).values_list("pk"))
        # Read after the lock: the picture may have been erased since, and then has another row.
        erasing.require_not_erased(Prediction.objects.get(pk=prediction.pk))
        earlier = Feedback.objects.current().filter(prediction=prediction, author=feedback.author)
        replaced = earlier.update(is_current=False)
        feedback_storing.send(Feedback, feedback=feedback, prediction=prediction, replaces=bool(replaced))
        feedback.save(force_insert=True)
        feedback_stored.send(Feedback, feedback=feedback, prediction=prediction)
        transaction.on_commit(lambda: mirror.append(feedback))


def report_take(*, text: str) -> Feedback:
    """Stores the report of a legacy client, which names no prediction, and appends it to the mirror."""
    feedback = Feedback.objects.create(comment=text)
    transaction.on_commit(lambda: mirror.append(feedback))
    return feedback
