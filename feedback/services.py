"""Everything that people say comes in through here: from the page, the API, and old clients."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from feedback import mirror
from feedback.models import Case, Feedback
from feedback.review import opening
from predictions import labels
from predictions.models import Prediction
from predictions.refusals import Refusal


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

    Raises `Refusal`: `no-answer` if there is nothing to speak of, `unknown-label`, `decided`.
    """
    if not prediction.is_done:
        raise Refusal("no-answer", "There is no answer yet that could be right or wrong.", status=409)
    feedback = Feedback(
        prediction=prediction,
        author=author,
        verdict=verdict,
        expected_label=_known_label(expected_label, prediction),
        expected_words=expected_words,
        comment=comment,
    )
    try:
        _say(feedback)
    except IntegrityError:
        _say(feedback)  # the same author, twice at the same moment: the other one was first
    return feedback


def _known_label(text: str, prediction: Prediction) -> str:
    if not text or any(text == label for label, _score in prediction.top):
        return text
    label = labels.resolve(text)
    if label is None:
        message = f"“{text[:100]}” is none of the labels. Choose one of them, or say it in other words."
        raise Refusal("unknown-label", message)
    return label


def _say(feedback: Feedback) -> None:
    prediction = feedback.prediction
    assert prediction is not None  # noqa: S101
    with transaction.atomic():
        case = Case.objects.select_for_update(of=("self",)).filter(image_id=prediction.image_id).first()
        earlier = Feedback.objects.current().filter(prediction=prediction, author=feedback.author)
        if case is not None and case.state == Case.State.DECIDED and earlier.exists():
            raise Refusal("decided", "A reviewer has decided this already. Thank you all the same.", status=409)
        earlier.update(is_current=False)
        feedback.case = case
        feedback.pk = None
        feedback.save(force_insert=True)
        if case is not None:
            opening.case_take_statement(case, feedback)
        elif feedback.verdict != Feedback.Verdict.RIGHT:
            opening.cases_open([prediction], source=Case.Source.FEEDBACK)
        transaction.on_commit(lambda: mirror.append(feedback))


def report_take(*, text: str) -> Feedback:
    """Stores the report of an old client, which names no prediction, and appends it to the mirror."""
    feedback = Feedback.objects.create(comment=text)
    transaction.on_commit(lambda: mirror.append(feedback))
    return feedback
