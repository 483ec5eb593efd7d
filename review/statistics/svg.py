"""Drawings as SVG that stands in a page: text, lines and shapes, and what every plot needs of scales.

Colours are left to `static/review/statistics.css`, by class; the page's security policy allows no style in the drawing.
"""

from __future__ import annotations

import re
import unicodedata
from xml.etree import ElementTree

from django.utils.safestring import SafeString, mark_safe

FONT_SIZE = 12  # pixels, as in the stylesheet

# XML 1.0 has no place for these, not even escaped.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Drawing:
    """One drawing of `width` x `height` pixels; the y axis points down.

    `key` is unique in the page: the ids in the drawing begin with it. `title` names the drawing for those who do not
    see it, and `description` says what there is to see.
    """

    def __init__(self, key: str, width: float, height: float, *, title: str, description: str) -> None:
        self.key = key
        self.width = width
        self._root = ElementTree.Element(
            "svg",
            {
                "class": "plot",
                "role": "img",
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "width": _number(width),
                "height": _number(height),
                "aria-labelledby": f"{key}-title",
                "aria-describedby": f"{key}-description",
            },
        )
        self._add("title", title, id=f"{key}-title")
        self._add("desc", description, id=f"{key}-description")

    def rect(self, look: str, x: float, y: float, width: float, height: float) -> None:
        """`look`: a class of the stylesheet. `hatched` is a pattern, which holds without colours."""
        rect = self._add("rect", look=look, x=x, y=y, width=max(width, 0), height=max(height, 0))
        if look == "hatched":
            rect.set("fill", f"url(#{self._hatch()})")

    def line(self, look: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self._add("line", look=look, x1=x1, y1=y1, x2=x2, y2=y2)

    def text(self, text: str, x: float, y: float, *, anchor: str = "start", look: str = "") -> None:
        """`y` is the base line; `anchor` is `start`, `middle` or `end`."""
        self._add("text", text, look=look, x=x, y=y, text_anchor=anchor)

    def circle(self, look: str, x: float, y: float, radius: float) -> None:
        self._add("circle", look=look, cx=x, cy=y, r=radius)

    def diamond(self, look: str, x: float, y: float, radius: float) -> None:
        corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
        self._add("polygon", look=look, points=" ".join(f"{_number(a)},{_number(b)}" for a, b in corners))

    def render(self) -> SafeString:
        # ElementTree has escaped every text and attribute.
        return mark_safe(ElementTree.tostring(self._root, encoding="unicode"))  # noqa: S308

    def _hatch(self) -> str:
        """The id of the one pattern, which is made when something first needs it."""
        name = f"{self.key}-hatch"
        if self._root.find("defs") is None:
            definitions = self._add("defs")
            pattern = self._add(
                "pattern",
                into=definitions,
                id=name,
                patternUnits="userSpaceOnUse",
                width=5,
                height=5,
                patternTransform="rotate(45)",
            )
            self._add("rect", into=pattern, look="hatch-ground", width=5, height=5)
            self._add("rect", into=pattern, look="hatch-line", width=2, height=5)
        return name

    def _add(
        self,
        tag: str,
        text: str = "",
        *,
        look: str = "",
        into: ElementTree.Element | None = None,
        **attributes: str | float,
    ) -> ElementTree.Element:
        given = {"class": look} if look else {}
        for name, value in attributes.items():
            given[name.replace("_", "-")] = _clean(value) if isinstance(value, str) else _number(value)
        element = ElementTree.SubElement(self._root if into is None else into, tag, given)
        if text:
            element.text = _clean(text)
        return element


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def _number(value: float) -> str:
    """A tenth of a pixel is enough for everybody."""
    return f"{value:.1f}".removesuffix(".0")


# --- Text -----------------------------------------------------------------------------------------


def text_width(text: str, *, is_strong: bool = False) -> float:
    """About how many pixels a text takes. Rather too many: the font is that of the reader's machine."""
    letters = sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.58 for letter in text)
    return FONT_SIZE * letters * (1.12 if is_strong else 1)


def shortened(text: str, width: float) -> str:
    """The text, or as much of its beginning as takes `width` pixels."""
    if text_width(text) <= width:
        return text
    while text and text_width(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


# --- Scales ---------------------------------------------------------------------------------------


def ticks(highest: int, most: int = 4) -> list[int]:
    """Round numbers from 0 until one reaches `highest`: steps of 1, 2 or 5 times a power of ten, `most` at most."""
    step = 1
    while step * most < highest:
        # 1, 2, 5, 10, 20, 50...
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return [step * number for number in range(-(-max(highest, 1) // step) + 1)]
