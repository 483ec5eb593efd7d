"""The focus view by mouse alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import PHOTOS, Desk, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(4, "teapot")


@pytest.fixture
def tab(desk: Desk, open_tab: OpenTab, cases: list[int]) -> Any:
    tab = open_tab()
    start_reviewing(tab, desk)
    wait_for_case(tab, cases[0])
    return tab


def test_one_click_decides(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.get_by_role("button", name="Accept “teapot”").click()
    wait_for_case(tab, cases[1])
    third = desk.labels(1)[2]
    tab.get_by_role("button", name=re.compile(f"^{third.replace('_', ' ')} ")).click()
    wait_for_case(tab, cases[2])
    tab.get_by_role("button", name="Undo").click()
    wait_for_case(tab, cases[1])
    tab.get_by_role("button", name="Unusable").click()
    wait_for_case(tab, cases[2])
    tab.get_by_role("combobox", name="Another label").click()
    tab.get_by_role("option").nth(1).click()  # the model's labels come first
    wait_for_case(tab, cases[3])
    tab.get_by_role("button", name="Skip").click()
    eventually(lambda: len(desk.decisions()) == 5, "all decisions")
    assert desk.decisions() == [
        ("corrected", "teapot", "ada"),
        ("corrected", third, "ada"),
        ("undo", "", "ada"),
        ("unusable", "", "ada"),
        ("corrected", desk.labels(2)[1], "ada"),
    ]


def test_a_double_click_decides_once(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.wait_for_load_state("networkidle")  # so that the next case appears at once
    tab.get_by_role("button", name="The model was right").dblclick()
    wait_for_case(tab, cases[1])
    eventually(lambda: desk.state(cases[0]) == "decided", "the decision")
    assert len(desk.decisions()) == 1


def _scale(tab: Any) -> float:
    return float(
        tab.locator(".picture-frame img").evaluate("image => new DOMMatrix(getComputedStyle(image).transform).a")
    )


def _corner(tab: Any) -> tuple[float, float]:
    """Returns the position of the picture's upper left corner."""
    box = tab.locator(".picture-frame img").evaluate("image => image.getBoundingClientRect().toJSON()")
    return box["x"], box["y"]


def test_zooms_by_click_drag_wheel_and_button(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.emulate_media(reduced_motion="reduce")
    frame = tab.locator(".picture-frame")
    button = tab.get_by_role("button", name="Zoom")
    assert _scale(tab) == 1
    frame.click()
    eventually(lambda: _scale(tab) >= 2, "twice the size")
    assert button.get_attribute("aria-pressed") == "true"

    box = frame.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = _corner(tab)
    tab.mouse.move(*middle)
    tab.mouse.down()
    tab.mouse.move(middle[0] + 60, middle[1] + 40, steps=4)
    tab.mouse.up()
    moved = round(before[0] + 60), round(before[1] + 40)
    eventually(lambda: tuple(map(round, _corner(tab))) == moved, "it follows the mouse")
    assert _scale(tab) >= 2, "the end of a drag is not a click"

    scale = _scale(tab)
    tab.mouse.wheel(0, -200)
    eventually(lambda: _scale(tab) > scale, "the wheel makes it larger")
    for _ in range(20):
        tab.mouse.wheel(0, 400)
    eventually(lambda: _scale(tab) == 1, "and smaller, down to the whole picture")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    eventually(lambda: _scale(tab) >= 2, "by the button")
    tab.get_by_role("button", name="The model was right").click()
    wait_for_case(tab, cases[1])
    assert _scale(tab) == 1, "the next picture is shown whole"


def test_similar_case_can_be_opened(desk: Desk, tab: Any, cases: list[int]) -> None:
    alike = next(photo for photo in range(4, PHOTOS) if desk.labels(photo)[0] == desk.labels(0)[0])
    other = desk.say(alike, "teapot")
    tab.reload()
    tab.get_by_role("list", name="Like this one").get_by_role("link", name=f"Case {other}").click()
    wait_for_case(tab, other)
    tab.go_back()
    wait_for_case(tab, cases[0])
    assert desk.decisions() == []
