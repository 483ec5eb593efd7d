from typing import Any

from django import template

from feedback import authors, selectors
from feedback.forms import COMMENT_MAX_LENGTH, EXPECTED_MAX_LENGTH, FeedbackForm
from predictions.models import Prediction

register = template.Library()


@register.inclusion_tag("feedback/form.html", takes_context=True)
def feedback_form(
    context: dict[str, Any], prediction: Prediction, decision: Any, form: FeedbackForm | str = ""
) -> dict[str, Any]:
    """Asks whether an answer is right; then shows what the visitor said, and what a reviewer decided.

    `decision`: the `verdict` and `label` of the case of this image; falsy where no reviewer has decided. `form`: one
    that was submitted with errors.
    """
    statement = selectors.author_feedback(prediction, authors.known_visitor(context["request"]))
    return {
        "prediction": prediction,
        "form": form or FeedbackForm.of(statement),
        "statement": statement,
        "decision": decision,
        # What was said before a decision stays as it was.
        "may_say": not (statement and decision),
        "expected_max_length": EXPECTED_MAX_LENGTH,
        "comment_max_length": COMMENT_MAX_LENGTH,
        "csrf_token": context.get("csrf_token"),
        "request": context["request"],
    }
