"""Reads feedback for the pages."""

from __future__ import annotations

from feedback import signals
from feedback.models import Feedback
from predictions.models import Prediction


def author_feedback(prediction: Prediction, author: str) -> Feedback | None:
    """Returns the author's current statement about a prediction. An empty `author` has none and costs no query."""
    if not author:
        return None
    return Feedback.objects.current().filter(prediction=prediction, author=author).first()


def awaits_review(prediction: Prediction) -> bool:
    """Returns whether a reviewer will look at what people say about a prediction."""
    return any(answer for _receiver, answer in signals.awaits_review.send(None, prediction=prediction))
