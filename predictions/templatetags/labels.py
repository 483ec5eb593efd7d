from datetime import timedelta

from django import template

from predictions import labels
from predictions.models import SCORE_DIGITS

register = template.Library()


@register.filter
def readable(label: str) -> str:
    """Replaces underscores by spaces: `Eskimo dog` for `Eskimo_dog`."""
    return labels.readable(str(label))


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
