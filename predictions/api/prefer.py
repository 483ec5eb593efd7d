"""The `Prefer` header (RFC 7240)."""

import re

from django.conf import settings


def wait_seconds(prefer: str) -> float:
    """Returns how long to wait for the answer, given a `Prefer` header. Unknown preferences are ignored."""
    preferences = _preferences(prefer)
    if "respond-async" in preferences:
        return 0
    longest = float(settings.PREDICT_WAIT_SECONDS)
    for preference in preferences:
        if match := re.fullmatch(r"wait\s*=\s*\"?(\d{1,6})\"?", preference):
            return min(float(match[1]), longest)
    return longest


def _preferences(prefer: str) -> list[str]:
    return [preference.strip().lower() for preference in re.split("[,;]", prefer)]
