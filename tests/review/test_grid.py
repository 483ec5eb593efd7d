"""The grid: selecting ranges, the preview, one verdict for all, undo."""

from __future__ import annotations

from typing import Any

import pytest

from tests.review.conftest import OpenTab
from tests.review.desk import Desk

pytestmark = pytest.mark.browser

CASES = 8


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(CASES, "teapot")


@pytest.fixture
def grid(desk: Desk, open_tab: OpenTab, cases: list[int]) -> Any:
    tab = open_tab()
    tab.goto(f"{desk.url}/grid/")
    return tab


def _tile(grid: Any, case: int) -> Any:
    return grid.get_by_alt_text(f"Picture of case {case}", exact=True)


def _chosen(grid: Any) -> list[int]:
    return [int(box.get_attribute("value")) for box in grid.locator("input[name=case]:checked").all()]


def test_decides_a_range_and_undoes_it(desk: Desk, grid: Any, cases: list[int]) -> None:
    _tile(grid, cases[1]).click()
    _tile(grid, cases[5]).click(modifiers=["Shift"])
    _tile(grid, cases[3]).click()
    assert _chosen(grid) == [cases[1], cases[2], cases[4], cases[5]]
    assert grid.get_by_text("4 selected").is_visible()

    grid.get_by_label("Unusable").check()
    grid.get_by_role("button", name="Preview").click()
    tiles = grid.locator(".case-tile")
    assert [tile.split("\n")[-1] for tile in tiles.all_inner_texts()] == ["→ Unusable"] * 4
    assert desk.decisions() == [], "the preview changes nothing"

    grid.get_by_role("button", name="Decide 4 cases").click()
    grid.get_by_text("4 cases decided.").wait_for()
    assert desk.decisions() == [("unusable", "", "ada")] * 4
    assert grid.locator(".case-tile").count() == CASES - 4
    grid.get_by_role("button", name="Undo").click()
    grid.get_by_text("Undone: 4 cases open again.").wait_for()
    assert grid.locator(".case-tile").count() == CASES
    assert {desk.state(case) for case in cases} == {"open"}


def test_shift_click_deselects_a_range(grid: Any, cases: list[int]) -> None:
    _tile(grid, cases[0]).click()
    _tile(grid, cases[7]).click(modifiers=["Shift"])
    assert _chosen(grid) == cases
    _tile(grid, cases[2]).click()
    _tile(grid, cases[6]).click(modifiers=["Shift"])
    assert _chosen(grid) == [*cases[:2], cases[7]]
    assert grid.evaluate("String(getSelection())") == "", "no text is selected"


def test_works_by_keyboard(desk: Desk, grid: Any, cases: list[int]) -> None:
    grid.locator("input[name=case]").first.focus()
    grid.keyboard.press("Space")
    for _ in range(4):
        grid.keyboard.press("Tab")  # each tile has a link, too
    grid.keyboard.press("Shift+Space")
    assert _chosen(grid) == cases[:3]
    grid.get_by_label("The model was right").focus()
    grid.keyboard.press("Space")
    grid.keyboard.press("Enter")
    grid.get_by_role("button", name="Decide 3 cases").wait_for()
    grid.keyboard.press("Enter")
    grid.get_by_text("3 cases decided.").wait_for()
    assert [kind for kind, _label, _reviewer in desk.decisions()] == ["right"] * 3


def test_corrects_all_to_a_typed_label(desk: Desk, grid: Any, cases: list[int]) -> None:
    for case in cases[:2]:
        _tile(grid, case).click()
    grid.get_by_role("combobox", name="The correct label").press_sequentially("husk")
    grid.get_by_role("option", name="Eskimo dog").click()
    assert grid.get_by_label("It is…").is_checked()
    grid.get_by_role("button", name="Preview").click()
    assert grid.get_by_text("→ Corrected: Eskimo dog").count() == 2
    grid.get_by_role("link", name="Back without changes").click()
    grid.locator(".case-tile").first.wait_for()
    assert desk.decisions() == []


def test_cases_that_change_after_the_preview_stay_unchanged(
    desk: Desk, open_tab: OpenTab, grid: Any, cases: list[int]
) -> None:
    for case in cases[:3]:
        _tile(grid, case).click()
    grid.get_by_role("button", name="Preview").click()
    assert grid.get_by_text("→ Corrected: teapot").count() == 3

    # With JavaScript, the page would also claim a third case in advance.
    grace = open_tab("grace", java_script_enabled=False)
    grace.goto(f"{desk.url}/{cases[0]}/focus/")
    grace.get_by_role("button", name="Unusable").click()  # grace claims the next case
    grace.wait_for_url(f"{desk.url}/{cases[1]}/focus/")

    grid.get_by_role("button", name="Decide 3 cases").click()
    grid.get_by_text("1 case decided.").wait_for()
    grid.get_by_text(f"Case {cases[0]} is unchanged. Already decided by grace (Unusable).").wait_for()
    grid.get_by_text(f"Case {cases[1]} is unchanged. grace is looking at this case now.").wait_for()
    assert desk.decisions() == [("unusable", "", "grace"), ("corrected", "teapot", "ada")]


def test_rejected_form_keeps_the_selection(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    grid = open_tab(expects="status of 400")
    grid.goto(f"{desk.url}/grid/?order=oldest")
    grid.get_by_role("button", name="Preview").click()
    grid.get_by_text("Select some cases first.").wait_for()
    _tile(grid, cases[0]).click()
    _tile(grid, cases[4]).click(modifiers=["Shift"])
    field = grid.get_by_role("combobox", name="The correct label")
    field.fill("no such thing")
    grid.get_by_role("button", name="Preview").click()
    grid.get_by_text("We have no label “no such thing”.").wait_for()
    assert _chosen(grid) == cases[:5] and grid.get_by_text("5 selected").is_visible(), "the selection is kept"
    assert field.input_value() == "no such thing" and grid.get_by_label("It is…").is_checked()
    field.fill("tabby")
    grid.get_by_role("button", name="Preview").click()
    grid.get_by_role("button", name="Decide 5 cases").click()
    grid.get_by_text("5 cases decided.").wait_for()
    assert {label for _kind, label, _reviewer in desk.decisions()} == {"tabby"}
    assert grid.locator(".case-tile").count() == CASES - 5, "the label of the verdict is not a filter"
    assert grid.url.endswith("/grid/?order=oldest&p=1")
