"""Makes invisible characters of a text visible."""

from __future__ import annotations

import re

# Invisible characters that change how text is read: control characters, and characters that change the writing
# direction (https://unicode.org/reports/tr9/#Directional_Formatting_Characters) or end a line. Tab and line feed stay.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Replaces invisible characters by their code points, such as `[U+202E]`."""
    return _INVISIBLE.sub(lambda match: f"[U+{ord(match[0]):04X}]", str(text).replace("\r\n", "\n"))
