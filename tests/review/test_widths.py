"""The pages of the desk fit the window: nothing is cut off, and nothing covers anything else."""

from __future__ import annotations

import pytest

from tests.review.conftest import OpenTab
from tests.review.desk import Desk
from tests.review.pages import fill_desk

pytestmark = pytest.mark.browser

# The elements that are wider than the window, or begin to the left of it, without a parent that scrolls.
CUT_OFF = """() => [...document.querySelectorAll("body *")].filter((element) => {
    const { left, right, width } = element.getBoundingClientRect();
    if (!width || element.closest("svg, .visually-hidden, .skip, .skip-to-content-link")) return false;
    if (left >= 0 && right <= innerWidth + 1) return false;
    for (let parent = element.parentElement; parent; parent = parent.parentElement)
        if (parent.scrollWidth > parent.clientWidth && getComputedStyle(parent).overflowX === "auto") return false;
    return true;
}).map((element) => `${element.tagName} ${element.className} ${element.textContent.trim().slice(0, 40)}`)"""

# The tables and lists that have to be scrolled sideways.
SCROLLED = """() => [...document.querySelectorAll("#content *")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "auto")
    .map((one) => `${one.className}: ${one.scrollWidth} > ${one.clientWidth}`)"""


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off(desk: Desk, open_tab: OpenTab, width: int) -> None:
    pages = fill_desk(desk, open_tab)
    tab = open_tab("lead", viewport={"width": width, "height": 860})
    for name, path in pages.paths.items():
        tab.goto(desk.site.url + path)
        assert tab.evaluate(CUT_OFF) == [], name
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
        assert width < 1280 or tab.evaluate(SCROLLED) == [], name


def test_start_page_shows_decisions_beside_other_actions(desk: Desk, open_tab: OpenTab) -> None:
    fill_desk(desk, open_tab)
    tab = open_tab("lead")
    tab.goto(f"{desk.site.url}/admin/")
    decisions = tab.locator("#my-decisions").bounding_box()
    actions = tab.locator("#recent-actions-module").bounding_box()
    assert decisions["y"] + decisions["height"] <= actions["y"]
