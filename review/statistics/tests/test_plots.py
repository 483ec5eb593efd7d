"""The plots: well-formed and within their bounds, whatever the numbers and labels are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from review.statistics.intervals import Proportion
from review.statistics.periods import periods
from review.statistics.plots import Bar, Plot, PlotRow, bars_plot, intervals_plot, statements_plot
from review.statistics.queries import Day
from review.statistics.scales import shortened, text_width, ticks

NUMBERS = st.integers(0, 10**7)
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs"]), max_size=60) | st.sampled_from(
    ["</svg><script>x</script>", "a & b", "\"'", "猫" * 50]
)
SHARES = NUMBERS.flatmap(lambda total: st.builds(Proportion, st.integers(0, total), st.just(total)))
DAYS = st.builds(
    lambda first, numbers: [Day(first + timedelta(days=number), *row) for number, row in enumerate(numbers)],
    st.dates(date(2000, 1, 1), date(2030, 1, 1)),
    st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=40),
)


def _render(plot: Plot) -> list[ElementTree.Element]:
    """Parse both layouts strictly, and check what must hold for every plot."""
    html = render_to_string("admin/review/case/statistics/plot.html", {"plot": plot})
    layouts = ElementTree.fromstring(f"<div>{html}</div>").findall("div/svg")
    assert len(layouts) == 2
    for svg in layouts:
        assert svg.get("role") == "img"
        ids = {element.get("id") for element in svg.iter() if element.get("id")}
        assert {svg.get("aria-labelledby"), svg.get("aria-describedby")} <= ids
        assert svg.findtext("title") and svg.findtext("desc")
        width, height = (float(size) for size in svg.get("viewBox", "").split()[2:])
        for element, left, top in _positioned(svg):
            # The Content-Security-Policy forbids these.
            assert element.tag not in {"script", "style"} and "style" not in element.attrib
            for name in ("x", "x1", "x2", "cx"):
                assert -1 <= left + float(element.get(name, 0)) <= width + 1
            for name in ("y", "y1", "y2", "cy"):
                assert -1 <= top + float(element.get(name, 0)) <= height + 1
            if element.tag == "rect":
                assert float(element.get("width", -1)) >= 0 and float(element.get("height", -1)) >= 0
    all_ids = [element.get("id") for svg in layouts for element in svg.iter() if element.get("id")]
    assert len(all_ids) == len(set(all_ids))
    return layouts


def _positioned(
    parent: ElementTree.Element, left: float = 0, top: float = 0
) -> Iterator[tuple[ElementTree.Element, float, float]]:
    """The elements below `parent`, each with the sum of the translations around it."""
    for element in parent:
        translation = re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform", "translate(0 0)"))
        x, y = (float(number) for number in translation.groups()) if translation else (0, 0)
        yield element, left + x, top + y
        yield from _positioned(element, left + x, top + y)


def _texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter("text")]


@given(DAYS)
def test_statements_plot_is_well_formed(days: list[Day]) -> None:
    for root in _render(statements_plot(days)):
        for number in (sum(day.wrong for day in days), sum(day.right for day in days)):
            assert any(text.endswith(f" {number:,}") for text in _texts(root))


@given(st.lists(st.builds(Bar, TEXTS, NUMBERS, TEXTS.map(lambda text: text[:10])), max_size=8), TEXTS)
def test_bars_plot_is_well_formed(bars: list[Bar], title: str) -> None:
    _render(bars_plot("bars", bars, title=f"T{title}"))


@given(st.lists(st.builds(PlotRow, TEXTS, st.tuples(SHARES, SHARES), st.booleans()), max_size=8), TEXTS)
def test_intervals_plot_is_well_formed(rows: list[PlotRow], title: str) -> None:
    for root in _render(intervals_plot("shares", rows, title=f"T{title}", series=("first", "second"))):
        counted = [share for row in rows for share in row.shares if share.total]
        whiskers = [line for line in root.iter("line") if "whisker" in line.get("class", "")]
        assert len(whiskers) == 3 * len(counted)


@given(st.lists(st.text("abcdefgWM@ 0123", min_size=1, max_size=12), min_size=1, max_size=8))
def test_names_that_fit_are_shown_in_full(names: list[str]) -> None:
    bars = bars_plot("bars", [Bar(name, 1) for name in names], title="Bars")
    shares = intervals_plot(
        "shares", [PlotRow(name, (Proportion(1, 2),)) for name in names], title="Shares", series=("first",)
    )
    for plot in (bars, shares):
        for root in _render(plot):
            assert set(names) <= set(_texts(root))


def test_whiskers_span_the_interval() -> None:
    share = Proportion(81, 263)
    (root, _narrow) = _render(
        intervals_plot("shares", [PlotRow("espresso", (share,))], title="Shares", series=("Share",))
    )
    zero, hundred = (
        next(float(text.get("x", 0)) for text in root.iter("text") if text.text == tick) for tick in ("0%", "100%")
    )
    line = next(line for line in root.iter("line") if "whisker" in line.get("class", ""))
    low, high = ((float(line.get(end, 0)) - zero) / (hundred - zero) for end in ("x1", "x2"))
    assert (low, high) == pytest.approx(share.bounds, abs=0.001)


def test_plots_read_without_colours() -> None:
    """Verdicts differ in filling, and series differ in marker."""
    (root, _narrow) = _render(statements_plot([Day(date(2026, 3, 1), 3, 2, 1)]))
    looks = [rect.get("class") for rect in root.findall("g//rect")]
    assert looks == ["solid", "hatched", "hollow"] * 2  # the legend and the bar
    (pattern,) = root.iter("pattern")
    assert {rect.get("fill") for rect in root.iter("rect") if rect.get("class") == "hatched"} == {
        f"url(#{pattern.get('id')})"
    }
    shares = (Proportion(1, 2), Proportion(1, 2))
    (root, _narrow) = _render(
        intervals_plot("shares", [PlotRow("a", shares)], title="Shares", series=("first", "second"))
    )
    assert len(root.findall(".//circle")) == len(root.findall(".//polygon")) == 2  # the headings and the row


@pytest.mark.parametrize(
    ("days", "most", "unit", "number", "second"),
    [
        (30, 30, "day", 30, date(2026, 1, 2)),
        (31, 30, "week", 5, date(2026, 1, 5)),  # 1 January is a Thursday
        (365, 12, "month", 12, date(2026, 2, 1)),
        (365, 11, "quarter", 4, date(2026, 4, 1)),
        (800, 6, "year", 3, date(2027, 1, 1)),
        (800, 1, "year", 3, date(2027, 1, 1)),  # there is no longer unit
    ],
)
def test_too_many_days_become_longer_periods(days: int, most: int, unit: str, number: int, second: date) -> None:
    first = date(2026, 1, 1)
    found_unit, found = periods([Day(first + timedelta(days=number), wrong=1) for number in range(days)], most)
    assert (found_unit.name, len(found), found[1].first) == (unit, number, second)
    assert sum(period.total for period in found) == days


@given(NUMBERS)
def test_ticks_are_round_and_reach_the_highest(highest: int) -> None:
    found = ticks(highest)
    assert found[0] == 0 and found[-1] >= highest and found[-2] < max(highest, 1)
    assert 2 <= len(found) <= 5
    assert re.fullmatch("[125]0*", str(found[1]))


@given(st.text(max_size=40), st.integers(20, 300))
def test_shortened_texts_fit(text: str, width: int) -> None:
    found = shortened(text, width)
    assert text_width(found) <= width
    assert found == text or "…" in found


def test_shortened_names_keep_both_ends() -> None:
    names = [shortened(f"a-model-with-a-very-long-name@{number}", 120) for number in (1, 2)]
    assert [name[-2:] for name in names] == ["@1", "@2"]
    assert all(name.startswith("a-model") and "…" in name for name in names)


# The widths in DejaVu Sans, which browsers on Linux take, at 12 pixels.
@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("shapes@2", 62.1),
        ("WWW@12", 62.9),
        ("mammoth-mm@1", 109.4),
        ("Größe ÄÖÜ", 66.3),
        ("100.0% of 1", 72.6),
        ("espresso → cup", 92.7),
        ("猫犬", 24.0),
        ("illicit filter", 59.7),
    ],
)
def test_estimated_width_is_not_below_that_of_a_wide_font(text: str, width: float) -> None:
    assert width <= text_width(text) <= 1.45 * width
