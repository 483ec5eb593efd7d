from typing import Any

from django import template

from feedback.forms import FeedbackForm
from predictions.models import Prediction

register = template.Library()


@register.inclusion_tag("feedback/form.html", takes_context=True)
def feedback_form(context: dict[str, Any], prediction: Prediction, form: FeedbackForm | str = "") -> dict[str, Any]:
    """The form by which a person says that an answer is wrong; filled in again where it came back with errors."""
    return {
        "prediction": prediction,
        "form": form or FeedbackForm(),
        "csrf_token": context.get("csrf_token"),
        "request": context.get("request"),
    }
