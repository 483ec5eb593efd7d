"""The plots of the statistics. Each is drawn twice, for wide and for narrow pages; the stylesheet shows one of them.

They read without colours: what differs in meaning differs in shape or filling, and says its name and number itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from review.statistics.intervals import Proportion
from review.statistics.periods import Period, periods
from review.statistics.queries import Day
from review.statistics.svg import Drawing, shortened, text_width, ticks

WIDE = 880  # pixels
NARROW = 350


@dataclass(frozen=True)
class Plot:
    wide: SafeString
    narrow: SafeString


def _both(draw: Callable[[float, str], Drawing], key: str) -> Plot:
    """`draw` takes a width and a key for the ids."""
    wide, narrow = draw(WIDE, f"{key}-wide"), draw(NARROW, f"{key}-narrow")
    return Plot(wide.render(), narrow.render())


# --- Statements over time -------------------------------------------------------------------------

# What is said, the look of its bars, and its name; from the ground upwards.
SERIES = (("wrong", "solid", "wrong"), ("right", "hatched", "right"), ("unsure", "hollow", "not sure"))


def statements_plot(days: Sequence[Day]) -> Plot:
    """Bars of what was said, one on top of the other: by day, or by longer periods where days would be too thin."""
    return _both(lambda width, key: _Bars(days, width, key).drawing, "statements")


class _Bars:
    LEFT, RIGHT, TOP, HEIGHT, BOTTOM = 44, 6, 62, 190, 38
    THINNEST = 7.5  # pixels between the beginnings of two bars

    def __init__(self, days: Sequence[Day], width: float, key: str) -> None:
        self.length = width - self.LEFT - self.RIGHT
        self.unit, self.periods = periods(days, most=int(self.length / self.THINNEST))
        self.ground = self.TOP + self.HEIGHT
        self.step = self.length / max(len(self.periods), 1)
        self.scale = ticks(max((period.total for period in self.periods), default=0))
        self.drawing = Drawing(
            key,
            width,
            self.ground + self.BOTTOM,
            title=f"Statements per {self.unit.name}",
            description=self._description(),
        )
        self._key()
        self._grid()
        for place, period in enumerate(self.periods):
            self._bar(place, period)
        self._peak()
        self._dates()

    @property
    def highest(self) -> Period | None:
        return max(self.periods, key=lambda period: period.total, default=None)

    def _description(self) -> str:
        totals = ", ".join(f"{self._total(name):,} {title}" for name, _look, title in SERIES)
        peak = f" Most in one {self.unit.name}: {self.highest.total:,}, {self.highest.title}." if self.highest else ""
        return f"Stacked bars, one for each {self.unit.name}. In all: {totals}.{peak}"

    def _total(self, name: str) -> int:
        return sum(getattr(period, name) for period in self.periods)

    def _key(self) -> None:
        x = float(self.LEFT)
        self.drawing.text(f"Statements per {self.unit.name}", x, 14, look="quiet")
        for name, look, title in SERIES:
            text = f"{title} {self._total(name):,}"
            self.drawing.rect(look, x, 25, 12, 12)
            self.drawing.text(text, x + 17, 35)
            x += 17 + text_width(text) + 12

    def _y(self, number: int) -> float:
        return self.ground - self.HEIGHT * number / self.scale[-1]

    def _grid(self) -> None:
        for number in self.scale:
            y = self._y(number)
            self.drawing.line("grid" if number else "axis", self.LEFT, y, self.LEFT + self.length, y)
            self.drawing.text(f"{number:,}", self.LEFT - 6, y + 4, anchor="end", look="quiet")

    def _bar(self, place: int, period: Period) -> None:
        width = min(self.step * 0.8, 28)
        x = self.LEFT + (place + 0.5) * self.step - width / 2
        below = 0
        for name, look, _title in SERIES:
            if number := getattr(period, name):
                top, bottom = self._y(below + number), self._y(below)
                self.drawing.rect(look, x, top, width, bottom - top)
                below += number

    def _peak(self) -> None:
        """The highest bar says its number."""
        if self.highest is None or not self.highest.total:
            return
        text = f"{self.highest.total:,}"
        middle = self.LEFT + (self.periods.index(self.highest) + 0.5) * self.step
        room = text_width(text) / 2
        x = min(max(middle, self.LEFT + room), self.LEFT + self.length - room)
        self.drawing.text(text, x, self._y(self.highest.total) - 4, anchor="middle")

    def _dates(self) -> None:
        """The name of as many periods as there is room for, with the year where it is a new one."""
        room = 52  # pixels for one
        steps = self.unit.steps
        every = next((step for step in steps if step * self.step >= room), len(self.periods) or 1)
        year = None
        for place in range(0, len(self.periods), every):
            period = self.periods[place]
            x = self.LEFT + (place + 0.5) * self.step
            if x + room / 2 > self.LEFT + self.length + self.RIGHT and place:
                break
            self.drawing.line("axis", x, self.ground, x, self.ground + 4)
            self.drawing.text(period.label, x, self.ground + 17, anchor="middle", look="quiet")
            if period.first.year != year and period.label != str(period.first.year):
                self.drawing.text(str(period.first.year), x, self.ground + 31, anchor="middle", look="quiet")
            year = period.first.year


# --- Numbers of cases -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """`note` stands after the number."""

    label: str
    number: int
    note: str = ""


def bars_plot(key: str, bars: Sequence[Bar], *, title: str) -> Plot:
    """Lying bars, each with its number at its end."""
    listed = "; ".join(f"{bar.label}: {bar.number:,}{bar.note}" for bar in bars)
    return _both(lambda width, key: _lying_bars(bars, width, key, title, f"Bars. {listed}."), key)


def _lying_bars(bars: Sequence[Bar], width: float, key: str, title: str, description: str) -> Drawing:
    """Where there is little room, the label stands above its bar instead of before it."""
    is_wide = width == WIDE
    row, thickness = (24, 14) if is_wide else (38, 12)
    endings = [f"{bar.number:,}{bar.note}" for bar in bars]
    left = min(max((text_width(bar.label) for bar in bars), default=0) + 10, 330) if is_wide else 0
    right = max((text_width(ending) for ending in endings), default=0) + 8
    highest = max((bar.number for bar in bars), default=0) or 1
    drawing = Drawing(key, width, row * len(bars) + 4, title=title, description=description)
    for place, (bar, ending) in enumerate(zip(bars, endings, strict=True)):
        top = place * row + (row - thickness) / 2 if is_wide else place * row + 20
        length = (width - left - right) * bar.number / highest
        if is_wide:
            drawing.text(shortened(bar.label, left - 10), left - 8, top + thickness - 3, anchor="end")
        else:
            drawing.text(shortened(bar.label, width), 0, top - 5)
        drawing.rect("solid", left, top, length, thickness)
        drawing.text(ending, left + length + 6, top + thickness - 3)
    if is_wide:
        drawing.line("axis", left, 0, left, row * len(bars) + 4)
    return drawing


# --- Shares with their intervals ------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One share for each series. `is_overall`: set off from the rest."""

    label: str
    shares: tuple[Proportion, ...]
    is_overall: bool = False


def intervals_plot(key: str, rows: Sequence[Row], *, title: str, series: Sequence[str]) -> Plot:
    """A point for each share on a scale from 0 to 100 %, with its interval as whiskers; the number stands beside it.

    The first series has circles, the second one diamonds.
    """
    described = f"Points with whiskers for {len(rows)} rows. {_described(rows, series)}"
    return _both(lambda width, key: _Intervals(rows, series, width, key, title, described).drawing, key)


def _described(rows: Sequence[Row], series: Sequence[str]) -> str:
    """The rows in words; of many only the overall one, as the others stand in the table."""
    return " ".join(
        f"{row.label}, {name}: {share.of}, 95% interval {share.interval}."
        for row in rows
        if row.is_overall or len(rows) <= 5
        for name, share in zip(series, row.shares, strict=True)
    )


class _Intervals:
    MARKERS = ("circle", "diamond")

    def __init__(
        self, rows: Sequence[Row], series: Sequence[str], width: float, key: str, title: str, description: str
    ) -> None:
        self.is_wide = width == WIDE
        self.series = series
        numbers = 122 * len(series)  # pixels for the column of each series
        self.labels_width = min(max((text_width(row.label) for row in rows), default=0) + 12, 230)
        self.left = self.labels_width if self.is_wide else 8.0
        self.right = width - (numbers + 14 if self.is_wide else 14)
        self.row = (14 if self.is_wide else 28) + 10 * len(series)
        self.top = 44 if self.is_wide else 24 + 18 * len(series)
        gap = 8 if any(row.is_overall for row in rows) else 0
        self.bottom = self.top + self.row * len(rows) + gap + 6
        self.drawing = Drawing(key, width, self.bottom + 20, title=title, description=description)
        self._heads()
        self._grid()
        for place, row in enumerate(rows):
            self._row(row, self.top + place * self.row + (0 if row.is_overall else gap))

    def _x(self, share: float) -> float:
        return self.left + (self.right - self.left) * share

    def _column(self, number: int) -> float:
        """Where the numbers of a series begin, on wide drawings."""
        return self.right + 18 + 122 * number

    def _heads(self) -> None:
        """Which marker is which series."""
        for number, name in enumerate(self.series):
            x, y = (self._column(number) + 5, 14.0) if self.is_wide else (8.0, 14.0 + 18 * number)
            self._marker(number, x, y - 4)
            self.drawing.text(name, x + 11, y, look="strong")

    def _grid(self) -> None:
        for percent in range(0, 101, 20):
            x = self._x(percent / 100)
            self.drawing.line("grid", x, self.top - 2, x, self.bottom)
            anchor = "middle" if self.is_wide else {0: "start", 100: "end"}.get(percent, "middle")
            shift = 0 if self.is_wide else {0: -8, 100: 14}.get(percent, 0)
            for y in (self.top - 8, self.bottom + 14):
                self.drawing.text(f"{percent}%", x + shift, y, anchor=anchor, look="quiet")

    def _row(self, row: Row, top: float) -> None:
        look = "strong" if row.is_overall else ""
        texts = [share.of for share in row.shares]
        if self.is_wide:
            middle = top + self.row / 2
            self.drawing.text(shortened(row.label, self.left - 10), self.left - 12, middle + 4, anchor="end", look=look)
            for number, text in enumerate(texts):
                self.drawing.text(text, self._column(number), middle + 4, look=look or "quiet")
        else:
            middle = top + 20 + (self.row - 20) / 2
            end = self.drawing.width
            for number, text in reversed(list(enumerate(texts))):
                self.drawing.text(text, end, top + 14, anchor="end", look=look or "quiet")
                end -= text_width(text, is_strong=row.is_overall) + 10
                self._marker(number, end, top + 10)
                end -= 14
            self.drawing.text(shortened(row.label, end), 0, top + 14, look=look)
        for number, share in enumerate(row.shares):
            self._whiskers(number, share, middle + 10 * (number - (len(row.shares) - 1) / 2))
        if row.is_overall:
            below = top + self.row + 5
            self.drawing.line("axis", 0, below, self.drawing.width, below)

    def _whiskers(self, number: int, share: Proportion, y: float) -> None:
        if share.share is None:
            return
        low, high = (self._x(bound) for bound in share.bounds)
        look = f"whisker {self.MARKERS[number]}"
        self.drawing.line(look, low, y, high, y)
        for end in (low, high):
            self.drawing.line(look, end, y - 3, end, y + 3)
        self._marker(number, self._x(share.share), y)

    def _marker(self, number: int, x: float, y: float) -> None:
        draw = self.drawing.circle if self.MARKERS[number] == "circle" else self.drawing.diamond
        draw(f"marker {self.MARKERS[number]}", x, y, 4 if self.MARKERS[number] == "circle" else 5.5)
