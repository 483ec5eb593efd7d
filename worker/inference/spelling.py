"""How the spellings of labels are compared."""

from __future__ import annotations

import re
import unicodedata

# Apostrophes are removed from words (`jack-o'-lantern`); everything else that is not a letter or digit separates words.
_APOSTROPHES = re.compile("['`\u2019\u02bc]")
_BETWEEN_WORDS = re.compile(r"[\W_]+")

# Characters without a picture of their own that are not in the category of formats (Cf): fillers, and selectors that
# only choose between two pictures of the character before.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")

# Pages put these around labels that are written from right to left.
_WITHOUT_ISOLATES = dict.fromkeys(map(ord, "\u2068\u2069"))


def normalize(text: str) -> str:
    """Returns the form in which texts are compared: lower-case letters and digits, no accents, single spaces.

    `Eskimo_dog`, `eskimo-dog` and ` ESKIMO  dóg ` all become `eskimo dog`. Invisible characters make no difference.
    """
    if text.isascii():
        letters = text.lower()
    else:
        # Decomposed twice: a few symbols decompose into capitals, and a few capitals fold into letters with accents.
        parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        letters = "".join(
            part for part in parts if not unicodedata.combining(part) and unicodedata.category(part) != "Cf"
        )
    return _BETWEEN_WORDS.sub(" ", _APOSTROPHES.sub("", letters)).strip()


def with_case(text: str) -> str:
    """Returns the text with single spaces and its case, which tells the dog Cardigan from the garment cardigan."""
    return " ".join(text.translate(_WITHOUT_ISOLATES).replace("_", " ").split())


def as_seen(text: str) -> str:
    """Returns what people see of a text on a page: composed letters and single spaces, no invisible characters."""
    if not text.isascii():
        text = "".join(character for character in _BLANK.sub("", text) if unicodedata.category(character) != "Cf")
    return " ".join(unicodedata.normalize("NFC", text).replace("_", " ").split())


def comparable(text: str) -> str:
    """Returns the normalized text or, if it has no letters and digits, its signs: a label may be an emoji."""
    return normalize(text) or with_case(text).casefold()


def folded(text: str) -> str:
    """Returns the text in lower case with single spaces. Unlike `normalize`, it tells `C++` from `C#`."""
    return with_case(text).casefold()
