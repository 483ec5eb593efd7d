from django.db import transaction

from feedback import mirror
from feedback.models import Feedback
from predictions.models import Prediction
from predictions.refusals import Refusal


def feedback_give(
    *, prediction: Prediction, verdict: Feedback.Verdict, expected_label: str = "", comment: str = ""
) -> Feedback:
    """Stores one statement about an answer and, once it is committed, appends it to the mirror.

    Raises `Refusal` if the prediction has no answer to speak of.
    """
    if not prediction.is_done:
        raise Refusal("no-answer", "There is no answer yet that could be right or wrong.", status=409)
    return _store(Feedback(prediction=prediction, verdict=verdict, expected_label=expected_label, comment=comment))


def report_take(*, text: str) -> Feedback:
    """Stores the report of an old client, which names no prediction, and appends it to the mirror."""
    return _store(Feedback(comment=text))


def _store(feedback: Feedback) -> Feedback:
    feedback.save()
    transaction.on_commit(lambda: mirror.append(feedback))
    return feedback
