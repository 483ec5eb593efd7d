"""What the pages ask of feedback."""

from __future__ import annotations

from feedback.models import Feedback
from predictions.models import Prediction


def author_feedback(prediction: Prediction, author: str) -> Feedback | None:
    """The author's current statement about a prediction. An empty `author` has not said anything: no query."""
    if not author:
        return None
    return Feedback.objects.current().filter(prediction=prediction, author=author).first()
