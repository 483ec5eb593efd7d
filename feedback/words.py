"""Text as people send it, before it is stored."""

import re

_LINE_ENDS = re.compile(r"\r\n?")
# All but tab and line feed; of the rest none can be seen, and a NUL cannot be stored by PostgreSQL. And surrogates, of
# which some charsets can express one half: no database stores that.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def normalize_text(text: str) -> str:
    """The text with line feeds for line ends, and U+FFFD in place of each control character and surrogate."""
    return _CONTROL_CHARACTERS.sub("\ufffd", _LINE_ENDS.sub("\n", text))
