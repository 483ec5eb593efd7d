"""How the reviewing desk shows what came from outside."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django import template
from django.utils.timesince import timesince

register = template.Library()

# What cannot be seen but changes how the rest is read: control characters, and those that turn the writing direction
# (https://unicode.org/reports/tr9/#Directional_Formatting_Characters) or end a line. Tab and line feed may stay.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@register.filter
def visible(text: str) -> str:
    """The text with a sign in place of each character that would act without being seen, such as `[U+202E]`."""
    return _UNSEEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", str(text).replace("\r\n", "\n"))


@register.filter
def ago(moment: datetime, now: datetime) -> str:
    """How long ago something happened, in its largest unit."""
    return "just now" if now - moment < timedelta(minutes=1) else f"{timesince(moment, now, depth=1)} ago"


@register.simple_tag
def new_key() -> UUID:
    """A key for one form: however often that is sent, it is carried out once."""
    return uuid4()
