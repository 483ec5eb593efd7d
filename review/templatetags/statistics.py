"""Number formats of the statistics."""

from django import template

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    """`12,345`"""
    return f"{number:,}"


@register.filter
def percent(share: float) -> str:
    """`12.3%` for a share of 0.123."""
    return f"{share:.1%}"


@register.filter
def pixels(number: float) -> str:
    """A position in a plot, to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")
