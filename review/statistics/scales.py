"""Axis scales and text widths for the plots."""

from __future__ import annotations

import unicodedata

FONT_SIZE = 12  # pixels, as in static/review/statistics.css


def text_width(text: str, *, is_strong: bool = False) -> float:
    """Estimate the width of a text in pixels, on the high side: the font depends on the reader's machine."""
    letters = sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.58 for letter in text)
    return FONT_SIZE * letters * (1.12 if is_strong else 1)


def shortened(text: str, width: float) -> str:
    """Return the text, cut off with an ellipsis if it is wider than `width` pixels."""
    if text_width(text) <= width:
        return text
    while text and text_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def ticks(highest: int, most: int = 4) -> list[int]:
    """Return round numbers from 0 to `highest` or beyond, in at most `most` steps of 1, 2 or 5 times a power of 10."""
    step = 1
    while step * most < highest:
        # 1, 2, 5, 10, 20, 50...
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return [step * number for number in range(-(-max(highest, 1) // step) + 1)]
