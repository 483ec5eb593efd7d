from django import template

register = template.Library()


@register.filter
def readable(label: str) -> str:
    """Replaces underscores by spaces: `Eskimo dog` for `Eskimo_dog`."""
    return str(label).replace("_", " ")


@register.filter
def percent(score: float) -> str:
    """Formats a probability as a percentage with one decimal. Values below 1 are never rounded up to 100%."""
    return f"{min(score, 0.999) if score < 1 else 1:.1%}"
