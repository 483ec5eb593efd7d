from __future__ import annotations

from django import template

from predictions.models import Prediction
from review.models import Case

register = template.Library()


@register.simple_tag
def decided_case(prediction: Prediction) -> Case | None:
    """The case of a prediction's image if a reviewer has decided it, with its `verdict` and `label`."""
    decided = Case.objects.filter(image_id=prediction.image_id, state=Case.State.DECIDED)
    return decided.only("verdict", "label").first()
