from django import template

register = template.Library()


@register.filter
def readable(label: str) -> str:
    """`Eskimo_dog` as people write it."""
    return str(label).replace("_", " ")


@register.filter
def percent(score: float) -> str:
    """A probability as a percentage with one decimal; never rounded up to a certainty that is not there."""
    return f"{min(score, 0.999) if score < 1 else 1:.1%}"
