"""Times and sizes with their units, for pages and commands."""

from __future__ import annotations

import math

from django import template

register = template.Library()


@register.filter
def milliseconds(value: float | None) -> str:
    """`12.3 ms`; below 1 ms with two significant digits, but at most three decimals: `0.084 ms`. A dash for `None`."""
    if value is None:
        return "–"
    digits = 1 if value <= 0 else min(max(1, 1 - math.floor(math.log10(value))), 3)
    return f"{value:,.{digits}f} ms"


@register.filter
def file_size(size: int) -> str:
    """`1.5 MB`, or GB, or kB below 0.1 MB, or bytes below 1 kB."""
    if size < 1e3:
        return f"{size} byte{'' if size == 1 else 's'}"
    if size < 1e5:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
