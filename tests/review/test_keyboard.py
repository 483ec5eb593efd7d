"""The focus view by keyboard alone."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, case_on, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser

CASES = 20


class Keyboard:
    """Presses keys in a tab and counts them."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.presses = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)
            self.presses += 1


@pytest.fixture
def keyboard(desk: Desk, open_tab: OpenTab) -> Keyboard:
    """Opens the first of `CASES` cases. Somebody expects a teapot on each."""
    desk.open_cases(CASES, "teapot")
    tab = open_tab("ada")
    start_reviewing(tab, desk)
    return Keyboard(tab)


def test_one_key_decides_each_of_twenty_cases(desk: Desk, keyboard: Keyboard) -> None:
    wanted = []
    cases = sorted(case for (case,) in desk.rows("SELECT id FROM review_case"))
    for case, key in zip(cases, cycle("ar25x"), strict=False):
        wait_for_case(keyboard.tab, case)
        top = desk.labels(cases.index(case))
        wanted.append(
            {
                "a": ("corrected", "teapot", "ada"),
                "r": ("right", top[0], "ada"),
                "2": ("corrected", top[1], "ada"),
                "5": ("corrected", top[4], "ada"),
                "x": ("unusable", "", "ada"),
            }[key]
        )
        keyboard.press(key)
    keyboard.tab.get_by_role("heading", name="Nothing left to review").wait_for()
    assert keyboard.tab.get_by_role("status").first.inner_text().endswith("20 done in this session.")
    eventually(lambda: len(desk.decisions()) == CASES, "the last decision")
    assert desk.decisions() == wanted
    assert keyboard.presses <= 2 * CASES


@pytest.fixture
def few(desk: Desk, open_tab: OpenTab) -> tuple[Keyboard, list[int]]:
    """Opens the first of three cases. A rejected undo logs status 409."""
    cases = desk.open_cases(3, "teapot")
    tab = open_tab("ada", expects="status of 409")
    start_reviewing(tab, desk)
    wait_for_case(tab, cases[0])
    return Keyboard(tab), cases


def test_types_another_label(desk: Desk, few: tuple[Keyboard, list[int]]) -> None:
    keyboard, cases = few
    keyboard.press("o", *"husk")
    options = keyboard.tab.get_by_role("option")
    options.first.wait_for()
    assert options.all_inner_texts() == ["Siberian husky", "Eskimo dog, husky"]
    keyboard.press("ArrowDown", "Enter")
    wait_for_case(keyboard.tab, cases[1])
    assert desk.decisions(cases[0]) == [("corrected", "Siberian_husky", "ada")]
    keyboard.press("0", *"tabby")  # zero means O
    options.first.wait_for()
    keyboard.press("Enter")  # an exact name needs no arrow
    wait_for_case(keyboard.tab, cases[2])
    assert desk.decisions(cases[1]) == [("corrected", "tabby", "ada")]
    keyboard.press("o", "Escape", "Escape", "r")  # leaves the field: keys decide again
    keyboard.tab.get_by_role("heading", name="Nothing left").wait_for()
    eventually(lambda: desk.decisions(cases[2]) == [("right", desk.labels(2)[0], "ada")], "the last decision")


def test_undo_goes_back_case_by_case(desk: Desk, few: tuple[Keyboard, list[int]]) -> None:
    keyboard, cases = few
    keyboard.press("a")
    wait_for_case(keyboard.tab, cases[1])
    keyboard.press("x")
    wait_for_case(keyboard.tab, cases[2])
    keyboard.press("u")
    wait_for_case(keyboard.tab, cases[1])
    assert keyboard.tab.get_by_role("status").first.inner_text().startswith(f"Case {cases[1]}: undone (unusable).")
    keyboard.press("u")
    wait_for_case(keyboard.tab, cases[0])
    assert [kind for kind, _label, _reviewer in desk.decisions()] == ["corrected", "unusable", "undo", "undo"]
    assert [desk.state(case) for case in cases] == ["open"] * 3
    keyboard.press("u")
    alert = keyboard.tab.get_by_role("alert").get_by_text("There is nothing to undo.")
    alert.wait_for()
    for case in cases:  # and forward, in the same order
        wait_for_case(keyboard.tab, case)
        keyboard.press("r")
    eventually(lambda: {desk.state(case) for case in cases} == {"decided"}, "all decided")


def test_decision_that_cannot_be_undone_does_not_block_the_undo_of_earlier_ones(
    desk: Desk, few: tuple[Keyboard, list[int]], open_tab: OpenTab
) -> None:
    keyboard, cases = few
    keyboard.press("a")
    wait_for_case(keyboard.tab, cases[1])
    keyboard.press("x")
    wait_for_case(keyboard.tab, cases[2])
    eventually(lambda: desk.state(cases[1]) == "decided", "the second decision")
    lead = open_tab("lead", java_script_enabled=False)
    lead.goto(f"{desk.url}/{cases[1]}/focus/")
    lead.get_by_role("button", name="Reopen").click()
    keyboard.press("u")
    keyboard.tab.get_by_role("alert").get_by_text("This decision is already undone").wait_for()
    wait_for_case(keyboard.tab, cases[2])
    keyboard.press("u")
    wait_for_case(keyboard.tab, cases[0])


def test_skipped_case_comes_last(desk: Desk, few: tuple[Keyboard, list[int]]) -> None:
    keyboard, cases = few
    keyboard.press("s")
    wait_for_case(keyboard.tab, cases[1])
    keyboard.press("u")  # a skip can be undone, too
    wait_for_case(keyboard.tab, cases[0])
    keyboard.press("s")
    for case in (*cases[1:], cases[0]):  # the skipped case comes last
        wait_for_case(keyboard.tab, case)
        assert desk.claimed_by(case) == "ada"
        keyboard.press("r")
    keyboard.tab.get_by_role("heading", name="Nothing left").wait_for()
    eventually(lambda: len(desk.decisions()) == 3, "the last decision")


def test_flags_with_a_note(desk: Desk, few: tuple[Keyboard, list[int]]) -> None:
    keyboard, cases = few
    keyboard.press("f", *"half", "Escape")  # cancel
    assert not keyboard.tab.get_by_label("What should somebody look at?").is_visible()
    keyboard.press("f", *" a cup?", "Enter")
    wait_for_case(keyboard.tab, cases[1])
    assert desk.rows("SELECT kind, note FROM review_decision") == [("flagged", "half a cup?")]
    assert desk.state(cases[0]) == "flagged"
    keyboard.press("f", "Enter")  # the browser asks for a note
    assert case_on(keyboard.tab) == cases[1] and desk.decisions(cases[1]) == []


def test_help_lists_every_key(desk: Desk, few: tuple[Keyboard, list[int]]) -> None:
    keyboard, cases = few
    table = keyboard.tab.get_by_role("table", name="One key decides")
    assert not table.is_visible()
    keyboard.press("?")
    assert table.is_visible()
    named = set(table.locator("th kbd").all_inner_texts())
    on_the_page = keyboard.tab.locator("[data-key]").evaluate_all(
        "all => all.map((one) => one.dataset.key.toUpperCase())"
    )
    digits = {key for key in on_the_page if key.isdigit()}
    assert digits == {"1", "2", "3", "4", "5"} and {"1", "9"} <= named, "the digits are explained as a range"
    assert set(on_the_page) - digits <= named, "every other key is explained"
    keyboard.press("?")
    assert not table.is_visible()
    keyboard.press("?", "Escape")
    assert not table.is_visible()
    assert case_on(keyboard.tab) == cases[0] and desk.decisions() == []


def test_single_keys_can_be_turned_off(desk: Desk, few: tuple[Keyboard, list[int]]) -> None:
    """The browser remembers it, and Tab and Enter still reach every button."""
    keyboard, cases = few
    tab = keyboard.tab
    switch = tab.get_by_label("Single keys")
    right = tab.get_by_role("button", name="The model was right")
    assert switch.is_checked() and right.get_attribute("aria-keyshortcuts") == "r"
    switch.uncheck()
    keyboard.press(*"arx15sfuzo?+")
    for _ in range(2):
        assert case_on(tab) == cases[0] and desk.decisions() == []
        assert not tab.get_by_role("table", name="One key decides").is_visible()
        assert right.get_attribute("aria-keyshortcuts") is None and not right.locator("kbd").is_visible()
        tab.reload()
        wait_for_case(tab, cases[0])
        assert not switch.is_checked()
        keyboard.press("r", "?")
    tab.get_by_text("Keys ?").click()  # the list of keys can still be opened and closed
    assert tab.get_by_role("table", name="One key decides").is_visible()
    keyboard.press("Escape")
    assert not tab.get_by_role("table", name="One key decides").is_visible()
    right.press("Enter")  # focuses it, too
    wait_for_case(tab, cases[1])
    assert right.get_attribute("aria-keyshortcuts") is None, "also on the next page"
    switch.check()
    keyboard.press("x")  # although the switch has the focus
    wait_for_case(tab, cases[2])
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
