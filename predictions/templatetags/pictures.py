from django import template

from predictions.models import Image
from predictions.uploads import upright_size

register = template.Library()


@register.simple_tag
def picture_size(image: Image) -> dict[str, int]:
    """Returns the `width` and the `height` of the picture as pages show it."""
    width, height = upright_size.upright_size(image)
    return {"width": width, "height": height}
