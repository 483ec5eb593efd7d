from typing import Any

from django import template

from predictions import erasing, submission, visitors
from predictions.models import Prediction

register = template.Library()


@register.simple_tag(takes_context=True)
def is_sender(context: dict[str, Any], prediction: Prediction) -> bool:
    """Returns whether the visitor has sent the prediction."""
    return erasing.is_sender(prediction, visitors.known_visitor(context["request"]))


@register.simple_tag(takes_context=True)
def may_cancel(context: dict[str, Any], prediction: Prediction) -> bool:
    """Returns whether the visitor may cancel the prediction."""
    return submission.may_cancel(prediction, visitors.known_visitor(context["request"]))
