"""Normalizes text from users before it is stored."""

import re
import unicodedata

_LINE_ENDS = re.compile(r"\r\n?")
# Control characters except tab and line feed: they are invisible, and PostgreSQL cannot store NUL.
# Surrogates: some charsets can express half of a pair, which no database stores.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


# Control characters except tab.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def printable_line(text: str) -> str:
    """Returns the text as one line, with blanks as line ends, and U+FFFD in place of each other control character."""
    return _CONTROLS.sub("\ufffd", re.sub(r"\r\n|\r|\n", " ", text))


def normalize_text(text: str) -> str:
    """Returns the text with line feeds as line ends, and U+FFFD in place of each control character and surrogate.

    A text of invisible characters only, such as zero-width spaces, becomes an empty one.
    """
    if all(character.isspace() or unicodedata.category(character) == "Cf" for character in text):
        return ""
    return _UNSTORABLE.sub("\ufffd", _LINE_ENDS.sub("\n", text))
