from typing import Any

from django import template

from feedback import authors, selectors
from feedback.forms import COMMENT_MAX_LENGTH, EXPECTED_MAX_LENGTH, FeedbackForm
from predictions.models import Prediction

register = template.Library()


@register.inclusion_tag("feedback/form.html", takes_context=True)
def feedback_form(context: dict[str, Any], prediction: Prediction, form: FeedbackForm | str = "") -> dict[str, Any]:
    """Asks whether an answer is right; then shows what was said, and what a reviewer decided.

    `form` is one that came back with errors, to be filled in again.
    """
    known = selectors.result_feedback(prediction, authors.known_visitor(context["request"]))
    return {
        "prediction": prediction,
        "form": form or FeedbackForm.of(known.statement),
        "statement": known.statement,
        "decision_verdict": known.decision_verdict,
        "decision_label": known.decision_label,
        # What was said before a decision stays as it was when it was decided.
        "may_say": not (known.statement and known.decision_verdict),
        "expected_max_length": EXPECTED_MAX_LENGTH,
        "comment_max_length": COMMENT_MAX_LENGTH,
        "csrf_token": context.get("csrf_token"),
        "request": context["request"],
    }
