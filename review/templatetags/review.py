"""Template filters and tags of the reviewing desk."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django import template
from django.utils.timesince import timesince

from predictions import labels
from predictions.visible_text import visible

register = template.Library()
register.filter(visible)


@register.filter
def ago(at: datetime, now: datetime) -> str:
    """Says how long ago `at` was, in the largest unit."""
    return "just now" if now - at < timedelta(minutes=1) else f"{timesince(at, now, depth=1)} ago"


@register.simple_tag
def synonyms(label: str) -> tuple[str, ...]:
    """Returns the other names of a label, from the active model version."""
    return labels.index().synonyms(label)


@register.simple_tag
def label_description(label: str) -> str:
    """Returns the description of a label, from the active model version."""
    found = labels.index().get(label)
    return found.description if found else ""


@register.simple_tag
def reference_images(label: str) -> list[str]:
    """Returns the addresses of a label's reference images, from the active model version."""
    return labels.index().reference_images(label)


@register.simple_tag
def new_key() -> UUID:
    """Returns a new key for one form, so that a form that is sent twice is carried out once."""
    return uuid4()
