"""The layouts of the plots: positions, scales and texts. The templates `plot_*.html` turn them into SVG.

Each plot has two layouts, for wide and for narrow pages; the stylesheet shows one of them. Positions are in pixels.
The plots read without colours: marks that differ in meaning differ in shape or filling, and carry a name and a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from review.statistics.intervals import Proportion
from review.statistics.periods import periods
from review.statistics.queries import Day
from review.statistics.scales import shortened, text_width, ticks

WIDE = 880
NARROW = 350


class PlotLayout:
    """What the templates of all plots need. `key` is unique on the page: the ids in the SVG begin with it."""

    template: str
    height: float

    def __init__(self, key: str, is_wide: bool, title: str, description: str) -> None:
        self.id = f"{key}-{'wide' if is_wide else 'narrow'}"
        self.is_wide = is_wide
        self.width = WIDE if is_wide else NARROW
        self.title = title
        self.description = description


class Plot(NamedTuple):
    wide: PlotLayout
    narrow: PlotLayout


class PlotText(NamedTuple):
    text: str
    x: float
    y: float


# --- Statements over time -------------------------------------------------------------------------

# Field of `Period`, class of the stylesheet, and title; from the axis upwards.
SERIES = (("wrong", "solid", "wrong"), ("right", "hatched", "right"), ("unsure", "hollow", "not sure"))


class LegendEntry(NamedTuple):
    look: str
    text: str
    x: float


class BarSegment(NamedTuple):
    look: str
    x: float
    y: float
    height: float


class DateTick(NamedTuple):
    """`year` is empty where the tick before has the same one."""

    x: float
    label: str
    year: str


def statements_plot(days: Sequence[Day]) -> Plot:
    """Stacked bars of statements by verdict, per day, or per longer period where daily bars would be too thin."""
    return Plot(StatementsLayout(True, days), StatementsLayout(False, days))


class StatementsLayout(PlotLayout):
    """Positions count from the left end of the horizontal axis."""

    template = "admin/review/case/statistics/plot_statements.html"
    left, right, ground, height = 44, 6, 252, 290
    TALLEST = 190
    THINNEST = 7.5  # from the left edge of one bar to that of the next
    DATE_WIDTH = 52

    def __init__(self, is_wide: bool, days: Sequence[Day]) -> None:
        self.length = (WIDE if is_wide else NARROW) - self.left - self.right
        self.unit, self.periods = periods(days, most=int(self.length / self.THINNEST))
        self.step = self.length / max(len(self.periods), 1)
        self.bar_width = min(self.step * 0.8, 28)
        self.highest = max(self.periods, key=lambda period: period.total, default=None)
        self.scale = ticks(self.highest.total if self.highest else 0)
        self.totals = {verdict: sum(getattr(period, verdict) for period in self.periods) for verdict, *_ in SERIES}
        super().__init__("statements", is_wide, f"Statements per {self.unit.name}", self._description())

    def _description(self) -> str:
        unit, highest = self.unit.name, self.highest
        totals = ", ".join(f"{self.totals[verdict]:,} {title}" for verdict, _look, title in SERIES)
        peak = f" Most in one {unit}: {highest.total:,}, {highest.title}." if highest else ""
        return f"Stacked bars, one for each {unit}. In all: {totals}.{peak}"

    def _middle(self, number: int) -> float:
        return (number + 0.5) * self.step

    def _y(self, count: int) -> float:
        return -self.TALLEST * count / self.scale[-1]

    def legend(self) -> Iterator[LegendEntry]:
        x = 0.0 if self.is_wide else -self.left
        for verdict, look, title in SERIES:
            text = f"{title} {self.totals[verdict]:,}"
            yield LegendEntry(look, text, x)
            x += text_width(text) + 29  # with the square before it, and gaps

    def grid(self) -> list[PlotText]:
        return [PlotText(f"{count:,}", 0, self._y(count)) for count in self.scale]

    def bars(self) -> Iterator[BarSegment]:
        for number, period in enumerate(self.periods):
            below = 0
            for verdict, look, _title in SERIES:
                if count := getattr(period, verdict):
                    x, y = self._middle(number) - self.bar_width / 2, self._y(below + count)
                    yield BarSegment(look, x, y, self._y(below) - y)
                    below += count

    def peak(self) -> PlotText | None:
        """The number above the highest bar."""
        if self.highest is None or not self.highest.total:
            return None
        text = f"{self.highest.total:,}"
        half = text_width(text) / 2
        x = min(max(self._middle(self.periods.index(self.highest)), half), self.length - half)
        return PlotText(text, x, self._y(self.highest.total))

    def dates(self) -> Iterator[DateTick]:
        """Name as many periods as there is room for."""
        fitting = (step for step in self.unit.steps if step * self.step >= self.DATE_WIDTH)
        previous = ""
        for number in range(0, len(self.periods), next(fitting, len(self.periods) or 1)):
            x, label, year = self._middle(number), self.periods[number].label, str(self.periods[number].first.year)
            if number and x + self.DATE_WIDTH / 2 > self.length + self.right:
                break
            yield DateTick(x, label, "" if year in (previous, label) else year)
            previous = year


# --- Numbers of cases -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """`note` follows the number."""

    label: str
    number: int
    note: str = ""

    @property
    def ending(self) -> str:
        return f"{self.number:,}{self.note}"


class BarRow(NamedTuple):
    label: str
    ending: str
    y: float
    length: float


def bars_plot(key: str, bars: Sequence[Bar], *, title: str) -> Plot:
    """Horizontal bars, each followed by its number."""
    return Plot(BarsLayout(key, True, title, bars), BarsLayout(key, False, title, bars))


class BarsLayout(PlotLayout):
    """On narrow pages, each label is above its bar instead of before it."""

    template = "admin/review/case/statistics/plot_bars.html"

    def __init__(self, key: str, is_wide: bool, title: str, bars: Sequence[Bar]) -> None:
        listed = "; ".join(f"{bar.label}: {bar.ending}" for bar in bars)
        super().__init__(key, is_wide, title, f"Bars. {listed}.")
        self.bars = bars
        self.row_height, self.thickness = (24, 14) if is_wide else (38, 12)
        self.label_width = min(max((text_width(bar.label) for bar in bars), default=0), 320) if is_wide else self.width
        self.left = self.label_width + 10 if is_wide else 0
        self.height = self.row_height * len(bars) + 4

    def rows(self) -> Iterator[BarRow]:
        room = self.width - self.left - max((text_width(bar.ending) for bar in self.bars), default=0) - 8
        highest = max((bar.number for bar in self.bars), default=0) or 1
        for number, bar in enumerate(self.bars):
            label = shortened(bar.label, self.label_width)
            y = number * self.row_height + (5 if self.is_wide else 20)
            yield BarRow(label, bar.ending, y, max(room * bar.number / highest, 0))


# --- Shares with their intervals ------------------------------------------------------------------


@dataclass(frozen=True)
class PlotRow:
    """A label with one share per series. `is_overall`: separated from the other rows by a line."""

    label: str
    shares: tuple[Proportion, ...]
    is_overall: bool = False


class ShareTick(NamedTuple):
    text: str
    x: float
    text_x: float
    anchor: str


class SeriesHeading(NamedTuple):
    text: str
    marker: str
    x: float
    y: float


class SharePoint(NamedTuple):
    """`marker_x` is beside the text, on narrow pages; `low`, `x` and `high` are on the scale."""

    share: Proportion
    marker: str
    text_x: float
    marker_x: float
    low: float
    x: float
    high: float
    y: float


class IntervalsRow(NamedTuple):
    label: str
    is_overall: bool
    y: float
    points: list[SharePoint]


def intervals_plot(key: str, rows: Sequence[PlotRow], *, title: str, series: Sequence[str]) -> Plot:
    """Points on a scale from 0 to 100 % with their intervals as whiskers, and the shares as text.

    The first series has circles, the second one diamonds.
    """
    return Plot(IntervalsLayout(key, True, title, rows, series), IntervalsLayout(key, False, title, rows, series))


class IntervalsLayout(PlotLayout):
    """On wide pages, the texts of a row are beside its points; on narrow ones, above them."""

    template = "admin/review/case/statistics/plot_intervals.html"
    MARKERS = ("circle", "diamond")
    COLUMN_WIDTH = 122  # of the texts of one series

    def __init__(
        self, key: str, is_wide: bool, title: str, plot_rows: Sequence[PlotRow], series: Sequence[str]
    ) -> None:
        described = f"Points with whiskers for {len(plot_rows)} rows. {_described(plot_rows, series)}"
        super().__init__(key, is_wide, title, described)
        self.plot_rows = plot_rows
        self.series = series
        widths = [text_width(row.label, is_strong=row.is_overall) for row in plot_rows]
        self.label_width = min(max(widths, default=0), 216)
        self.left = self.label_width + 14 if is_wide else 8
        self.right = self.width - 14 - (self.COLUMN_WIDTH * len(series) if is_wide else 0)
        self.row_height = (14 if is_wide else 28) + 10 * len(series)
        self.middle = self.row_height / 2 + (0 if is_wide else 10)  # of the points of a row
        self.text_y = self.row_height / 2 + 4 if is_wide else 14
        self.top = 44 if is_wide else 24 + 18 * len(series)
        self.grid_top = self.top - 2
        self.gap = 8 if any(row.is_overall for row in plot_rows) else 0
        self.bottom = self.top + self.row_height * len(plot_rows) + self.gap + 6
        self.height = self.bottom + 20

    def _x(self, share: float) -> float:
        return self.left + (self.right - self.left) * share

    def _column(self, number: int) -> float:
        """The left edge of the texts of a series, on wide pages."""
        return self.right + 18 + self.COLUMN_WIDTH * number

    def headings(self) -> Iterator[SeriesHeading]:
        for number, name in enumerate(self.series):
            x, y = (self._column(number) + 5, 14) if self.is_wide else (8, 14 + 18 * number)
            yield SeriesHeading(name, self.MARKERS[number], x, y)

    def ticks(self) -> Iterator[ShareTick]:
        ends = {} if self.is_wide else {0: (0, "start"), 100: (self.width, "end")}
        for percent in range(0, 101, 20):
            x = self._x(percent / 100)
            yield ShareTick(f"{percent}%", x, *ends.get(percent, (x, "middle")))

    def rows(self) -> Iterator[IntervalsRow]:
        for number, row in enumerate(self.plot_rows):
            points = self._points(row)
            y = self.top + self.row_height * number + (0 if row.is_overall else self.gap)
            label_width = self.label_width if self.is_wide else points[0].marker_x - 14
            yield IntervalsRow(shortened(row.label, label_width), row.is_overall, y, points)

    def _points(self, row: PlotRow) -> list[SharePoint]:
        points: list[SharePoint] = []
        end = float(self.width)
        for number, share in reversed(list(enumerate(row.shares))):
            text_x = self._column(number) if self.is_wide else end
            marker_x = end - text_width(share.of, is_strong=row.is_overall) - 10
            low, x, high = (self._x(value) for value in (share.bounds[0], share.share or 0, share.bounds[1]))
            y = self.middle + 10 * (number - (len(row.shares) - 1) / 2)
            points.insert(0, SharePoint(share, self.MARKERS[number], text_x, marker_x, low, x, high, y))
            end = marker_x - 14
        return points


def _described(rows: Sequence[PlotRow], series: Sequence[str]) -> str:
    """The rows in words. If there are many, only the overall one: the others are in the table."""
    return " ".join(
        f"{row.label}, {name}: {share.of}, 95% interval {share.interval}."
        for row in rows
        if row.is_overall or len(rows) <= 5
        for name, share in zip(series, row.shares, strict=True)
    )
