"""The template tag with which the result page shows a reviewer's decision."""

from __future__ import annotations

from django import template

from predictions.models import Prediction
from review.models import Case

register = template.Library()


@register.simple_tag
def decided_case(prediction: Prediction) -> Case | None:
    """Returns the decided case of a prediction's image with its `verdict` and its labels, if there is one."""
    decided = Case.objects.filter(image_id=prediction.image_id, state=Case.State.DECIDED)
    return decided.only("verdict", "label", "proposed_label").first()
