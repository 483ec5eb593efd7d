from typing import Any

from django import template

from predictions import erasing, visitors
from predictions.models import Prediction

register = template.Library()


@register.simple_tag(takes_context=True)
def is_sender(context: dict[str, Any], prediction: Prediction) -> bool:
    """Returns whether the visitor has sent the prediction."""
    return erasing.is_sender(prediction, visitors.known_visitor(context["request"]))
