"""Axis scales and text widths for the plots."""

from __future__ import annotations

import unicodedata

FONT_SIZE = 12  # pixels, as in static/review/statistics.css

# Widths of characters in em: the largest of each class in DejaVu Sans, which is wider than other fonts of the admin.
# Characters in no class, such as "@", "W", "m", "%" and "→", count as one em.
_NARROWEST = 0.46
_WIDTHS = dict.fromkeys('abcdeghknopqsuvxyz0123456789$*?`{}"', 0.64)
_WIDTHS |= dict.fromkeys("ABCDEFGHIJKLNOPQRSTUVXYZ", 0.79)
_WIDTHS |= dict.fromkeys(" !'(),-./:;I[\\]fijlrt|", _NARROWEST)
_WIDEST = 1.0
_EMOJI = 1.3


def text_width(text: str, *, is_strong: bool = False) -> float:
    """Estimate the width of a text in pixels, on the high side: the font depends on the reader's machine."""
    letters = sum(_letter_width(letter) for letter in unicodedata.normalize("NFD", text))
    return FONT_SIZE * letters * (1.12 if is_strong else 1)


def _letter_width(letter: str) -> float:
    if letter in _WIDTHS:
        return _WIDTHS[letter]
    category = unicodedata.category(letter)
    if category == "Mn":  # an accent, above or below the letter before it
        return 0.0
    return _EMOJI if category == "So" else _WIDEST


def shortened(text: str, width: float) -> str:
    """Return the text, with an ellipsis instead of its middle if it is wider than `width` pixels.

    Both ends stay, because the names of versions differ at their end.
    """
    if text_width(text) <= width:
        return text
    kept = min(len(text) - 1, int(width / (FONT_SIZE * _NARROWEST)))
    while kept and text_width(_without_middle(text, kept)) > width:
        kept -= 1
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    """Return `kept` letters of the text: two thirds from its beginning, and one from its end."""
    end = kept // 3
    return f"{text[: kept - end].rstrip()}…{text[len(text) - end :].lstrip()}"


def ticks(highest: int, most: int = 4) -> list[int]:
    """Return round numbers from 0 to `highest` or beyond, in at most `most` steps of 1, 2 or 5 times a power of 10."""
    step = 1
    while step * most < highest:
        # 1, 2, 5, 10, 20, 50...
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return [step * number for number in range(-(-max(highest, 1) // step) + 1)]
