"""What the pages ask of feedback, cases and decisions."""

from __future__ import annotations

from dataclasses import dataclass

from feedback.models import Case, Feedback
from predictions.models import Prediction


@dataclass(frozen=True)
class ResultFeedback:
    """What the result page knows: the visitor's own statement, and what a reviewer decided of the picture.

    `decision_verdict`: one of `Case.Verdict`, or empty while nobody has decided.
    """

    statement: Feedback | None
    decision_verdict: str = ""
    decision_label: str = ""


def result_feedback(prediction: Prediction, author: str) -> ResultFeedback:
    """Two queries; one for an `author` who is nobody yet, who cannot have said anything."""
    statement = Feedback.objects.current().filter(prediction=prediction, author=author).first() if author else None
    case = Case.objects.filter(image_id=prediction.image_id).only("verdict", "label").first()
    return ResultFeedback(statement, case.verdict if case else "", case.label if case else "")
