"""Line charts as SVG files of their own, which read in light and dark and without colours: by dashes and markers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 360  # pixels
LEFT, RIGHT, TOP, BOTTOM = 66, 150, 44, 50
LABEL_HEIGHT = 15

STYLE = """
.ground{fill:#fff}text{font:12px system-ui,sans-serif;fill:#1b1f24}.title{font-weight:600;font-size:14px}
.quiet{fill:#59636e}.grid{stroke:#d1d9e0}.axis{stroke:#59636e}
.line{fill:none;stroke-width:2}.s0{stroke:#0550ae}.s1{stroke:#953800}.s2{stroke:#1a7f37}.s3{stroke:#6639ba}
.mark{fill:#fff;stroke-width:2}.end{stroke:#59636e;stroke-width:.5}
@media (prefers-color-scheme:dark){
.ground,.mark{fill:#0d1117}text{fill:#e6edf3}.quiet{fill:#9198a1}.grid{stroke:#30363d}.axis,.end{stroke:#9198a1}
.s0{stroke:#79c0ff}.s1{stroke:#ffa657}.s2{stroke:#7ee787}.s3{stroke:#d2a8ff}}
"""
DASHES = ("", "7 4", "2 3", "10 3 2 3")


@dataclass(frozen=True)
class Series:
    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """`x_log`, `y_log`: a scale of powers of ten, on which 0 is left out. `markers`: one at each point."""

    title: str
    x_title: str
    y_title: str
    series: Sequence[Series]
    x_log: bool = False
    y_log: bool = False
    markers: bool = True

    def svg(self) -> str:
        """The whole file. A chart without points says that there is nothing to show."""
        drawn = [(number, each.name, self._known(each)) for number, each in enumerate(self.series)]
        drawn = [(number, name, points) for number, name, points in drawn if points]
        every = [point for _, _, points in drawn for point in points]
        parts = [f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>', _text(LEFT, 22, self.title, "title")]
        if every:
            x = _Scale([px for px, _ in every], self.x_log, LEFT, WIDTH - RIGHT)
            y = _Scale([py for _, py in every], self.y_log, HEIGHT - BOTTOM, TOP)
            parts += self._axes(x, y)
            for number, _, points in drawn:
                parts += self._line(number, [(x.at(px), y.at(py)) for px, py in points])
            ends = [(name, self._named_at(points)) for _, name, points in drawn]
            parts += _names([(name, x.at(at[0]), y.at(at[1])) for name, at in ends])
        else:
            parts.append(_text(LEFT, HEIGHT / 2, "nothing was measured", "quiet"))
        names = ", ".join(name for _, name, _ in drawn)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" aria-label="{escape(self.title, {chr(34): "&quot;"})}">'
        )
        described = f"<desc>{escape(f'{self.y_title} by {self.x_title}: {names}')}</desc>"
        return "\n".join([head, described, f"<style>{STYLE}</style>", *parts, "</svg>", ""])

    def _known(self, series: Series) -> list[tuple[float, float]]:
        return sorted((x, y) for x, y in series.points if (x > 0 or not self.x_log) and (y > 0 or not self.y_log))

    def _named_at(self, points: list[tuple[float, float]]) -> tuple[float, float]:
        """Its end, or the top of a line that goes up and down: there it is apart from the others."""
        return points[-1] if self.markers else max(points, key=lambda point: point[1])

    def _axes(self, x: _Scale, y: _Scale) -> list[str]:
        ground = HEIGHT - BOTTOM
        parts = []
        for value in y.ticks():
            at = y.at(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            parts.append(_text(LEFT - 8, at + 4, _number(value), anchor="end"))
        last = -math.inf
        for value in x.ticks():
            at = x.at(value)
            parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{ground}" y2="{ground + 5}"/>')
            if at - last > 34:
                parts.append(_text(at, ground + 18, _number(value), anchor="middle"))
                last = at
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{ground}" y2="{ground}"/>')
        parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, self.x_title, "quiet", anchor="middle"))
        parts.append(_text(LEFT, 37, self.y_title, "quiet"))
        return parts

    def _line(self, number: int, points: list[tuple[float, float]]) -> list[str]:
        look = f"s{number % 4}"
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = f' stroke-dasharray="{DASHES[number % 4]}"' if DASHES[number % 4] else ""
        parts = [f'<polyline class="line {look}" points="{path}"{dashes}/>']
        return parts + ([_marker(number, look, x, y) for x, y in points] if self.markers else [])


class _Scale:
    """From values to pixels. A linear one begins at 0, or below where there are values below."""

    def __init__(self, values: Sequence[float], log: bool, start: float, end: float) -> None:
        self.log, self.start, self.end = log, start, end
        self.low, self.high = min(values), max(values)
        if log:
            self.low, self.high = math.log10(self.low), math.log10(self.high)
        else:
            self.low = min(self.low, 0.0)
        if self.high <= self.low:
            self.high = self.low + 1

    def at(self, value: float) -> float:
        value = math.log10(value) if self.log else value
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            powers = range(math.floor(self.low), math.ceil(self.high) + 1)
            found = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
            return [value for value in found if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(factor for factor in (1, 2, 5, 10) if (self.high - self.low) / (step * factor) <= 5)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]


def _names(ends: list[tuple[str, float, float]]) -> list[str]:
    """Each line's name at its end, moved apart where they would lie upon each other."""
    parts, last = [], -math.inf
    at = WIDTH - RIGHT + 12
    for name, x, y in sorted(ends, key=lambda end: end[2]):
        placed = max(y, last + LABEL_HEIGHT)
        last = placed
        parts.append(f'<line class="end" x1="{x + 6:.1f}" y1="{y:.1f}" x2="{at - 3}" y2="{placed:.1f}"/>')
        parts.append(_text(at, placed + 4, name))
    return parts


def _marker(number: int, look: str, x: float, y: float) -> str:
    shapes = (
        f'<circle class="mark {look}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
        f'<rect class="mark {look}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>',
        f'<path class="mark {look}" d="M{x:.1f} {y - 5:.1f}l5 9h-10z"/>',
        f'<path class="mark {look}" d="M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5-5z"/>',
    )
    return shapes[number % 4]


def _text(x: float, y: float, text: str, look: str = "", anchor: str = "start") -> str:
    kind = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind} text-anchor="{anchor}">{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:g}"
