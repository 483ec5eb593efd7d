"""Reads feedback for the pages."""

from __future__ import annotations

from feedback.models import Feedback
from predictions.models import Prediction


def author_feedback(prediction: Prediction, author: str) -> Feedback | None:
    """Returns the author's current statement about a prediction. An empty `author` has none and costs no query."""
    if not author:
        return None
    return Feedback.objects.current().filter(prediction=prediction, author=author).first()
