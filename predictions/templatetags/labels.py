import unicodedata
from datetime import timedelta

from django import template

from predictions import labels
from predictions.models import SCORE_DIGITS
from predictions.visible_text import visible

register = template.Library()
register.filter(visible)

# What gives a text a direction: letters that are written from right to left, and invisible characters.
_DIRECTIONS = frozenset({"R", "AL", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI"})
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


@register.filter
def readable(label: str) -> str:
    """Replaces underscores by spaces: `Eskimo dog` for `Eskimo_dog`.

    A label that is written from right to left is isolated, so that it does not change the order of what surrounds it.
    """
    text = labels.readable(str(label))
    return f"{_ISOLATE}{text}{_END_OF_ISOLATE}" if _has_direction(text) else text


def _has_direction(text: str) -> bool:
    return not text.isascii() and any(unicodedata.bidirectional(character) in _DIRECTIONS for character in text)


@register.filter
def percent(score: float) -> str:
    """Formats a probability as a percentage with one decimal. Values below 1 are never rounded up to 100%.

    It is rounded to the digits of the API first, from which scripts make the same text.
    """
    return f"{min(round(score, SCORE_DIGITS), 0.999) if score < 1 else 1:.1%}"


@register.filter
def duration(milliseconds: float) -> str:
    """Formats a duration: `less than 1 ms`, `12 ms`, `1.4 s`, `3 minutes`."""
    if milliseconds < 1:
        return "less than 1 ms"
    if milliseconds < 1000:
        return f"{int(milliseconds)} ms"
    if milliseconds < 60_000:
        return f"{int(milliseconds / 100) / 10} s"
    return waiting_time(timedelta(milliseconds=milliseconds))


@register.filter
def waiting_time(waited: timedelta) -> str:
    """Formats a duration in its largest unit: `40 seconds`, `3 minutes`, `2 hours`."""
    seconds = int(waited.total_seconds())
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return _counted(seconds // length, name)
    return _counted(seconds, "second")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
