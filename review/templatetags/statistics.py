"""Numbers as the statistics write them."""

from django import template

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    """`12,345`"""
    return f"{number:,}"


@register.filter
def percent(share: float) -> str:
    """Of a share from 0 to 1."""
    return f"{share:.1%}"
