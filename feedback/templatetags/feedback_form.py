from typing import Any

from django import template

from feedback import authors, selectors
from feedback.expected import MAX_LENGTH as EXPECTED_MAX_LENGTH
from feedback.forms import COMMENT_MAX_LENGTH, FeedbackForm
from predictions.models import Prediction

register = template.Library()


@register.inclusion_tag("feedback/form.html", takes_context=True)
def feedback_form(
    context: dict[str, Any], prediction: Prediction, decision: Any, form: FeedbackForm | str = ""
) -> dict[str, Any]:
    """Shows the visitor's statement, the reviewer's decision, and the form that asks whether an answer is right.

    `decision`: an object with `verdict`, `label` and `proposed_label`; falsy as long as no reviewer has decided.
    `form`: a submitted form with errors.
    """
    statement = selectors.author_feedback(prediction, authors.known_visitor(context["request"]))
    return {
        "prediction": prediction,
        "form": form or FeedbackForm.for_statement(statement),
        "statement": statement,
        "decision": decision,
        # A statement cannot be changed after the decision.
        "can_give_feedback": not (statement and decision),
        "expected_max_length": EXPECTED_MAX_LENGTH,
        "comment_max_length": COMMENT_MAX_LENGTH,
        "csrf_token": context.get("csrf_token"),
        "request": context["request"],
    }
