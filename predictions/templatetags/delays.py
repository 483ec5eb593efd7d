"""The template tag with which the admin says why answers are delayed."""

from __future__ import annotations

from django import template

from predictions.delays import delay

register = template.Library()


@register.simple_tag
def delay_reason() -> str:
    """Returns why answers are delayed; an empty string if they are not."""
    return delay.reason
