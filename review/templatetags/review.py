"""Template filters and tags of the reviewing desk."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django import template
from django.utils.timesince import timesince

from predictions import labels

register = template.Library()

# Invisible characters that change how text is read: control characters, and characters that change the writing
# direction (https://unicode.org/reports/tr9/#Directional_Formatting_Characters) or end a line. Tab and line feed stay.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@register.filter
def visible(text: str) -> str:
    """Replaces invisible characters by their code points, such as `[U+202E]`."""
    return _INVISIBLE.sub(lambda match: f"[U+{ord(match[0]):04X}]", str(text).replace("\r\n", "\n"))


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
