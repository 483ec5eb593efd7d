"""The reviewer is logged out while the desk is open: nothing is lost, and it is sent when they are back."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, log_in, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser

DECIDED = [("corrected", "teapot", "ada")]


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(4, "teapot")


@pytest.fixture
def tab(desk: Desk, open_tab: OpenTab, cases: list[int]) -> Any:
    """A tab with the first case. Its session is its own: logging out ends it."""
    tab = open_tab("", expects="status of 40[39]")
    log_in(tab, desk, "ada")
    start_reviewing(tab, desk)
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[3]) == "ada", "the next cases are claimed in advance")
    tab.wait_for_load_state("networkidle")
    return tab


def _log_out(tab: Any, desk: Desk) -> None:
    other = tab.context.new_page()
    other.goto(f"{desk.site.url}/admin/")
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url(f"{desk.site.url}/admin/logout/")
    other.close()  # Chromium may never close a page that is just being loaded
    tab.bring_to_front()


def _log_in(tab: Any, desk: Desk, name: str = "ada") -> None:
    other = tab.context.new_page()
    log_in(other, desk, name)
    other.close()
    tab.bring_to_front()


@pytest.mark.parametrize("key", ["a", "s", "u"])
def test_keys_work_after_logging_out_and_in_again_in_another_tab(
    desk: Desk, tab: Any, cases: list[int], key: str
) -> None:
    """A login replaces the CSRF token; the page still has the old one."""
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    eventually(lambda: desk.decisions() == DECIDED, "the first decision")
    _log_out(tab, desk)
    _log_in(tab, desk)
    tab.keyboard.press(key)
    wait_for_case(tab, cases[0] if key == "u" else cases[2])
    kinds = {"a": ["corrected", "corrected"], "s": ["corrected"], "u": ["corrected", "undo"]}[key]
    eventually(lambda: [kind for kind, *_ in desk.decisions()] == kinds, "the second decision")
    eventually(lambda: len(desk.rows("SELECT id FROM review_skip")) == (key == "s"), "the skip")
    assert tab.locator("#review-alerts").inner_text() == ""


def test_flag_is_sent_after_logging_out_and_in_again(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.keyboard.press("f")
    tab.keyboard.type("Which one?")
    _log_out(tab, desk)
    _log_in(tab, desk)
    tab.keyboard.press("Enter")
    wait_for_case(tab, cases[1])
    assert desk.rows("SELECT kind, note FROM review_decision") == [("flagged", "Which one?")]


def test_decisions_are_sent_after_a_login_through_the_alert(desk: Desk, tab: Any, cases: list[int]) -> None:
    _log_out(tab, desk)
    for case in cases[:2]:
        wait_for_case(tab, case)
        tab.keyboard.press("a")
    wait_for_case(tab, cases[2])
    told = f"Not saved: case {cases[0]}, {cases[1]}. You are no longer logged in."
    tab.get_by_role("alert").get_by_text(told).wait_for()
    with tab.expect_popup() as opened:
        tab.get_by_role("link", name="Log in in another tab").click()
    opened.value.get_by_label("Username:").fill("ada")
    opened.value.get_by_label("Password:").fill(desk.passwords["ada"])
    opened.value.get_by_role("button", name="Log in").click()
    eventually(lambda: desk.decisions() == DECIDED * 2, "both decisions, without another click")
    tab.get_by_role("alert").get_by_text("Not saved").wait_for(state="detached")


def test_page_goes_on_after_a_login_when_no_loaded_case_was_left(desk: Desk, tab: Any, cases: list[int]) -> None:
    _log_out(tab, desk)
    for case in cases:
        wait_for_case(tab, case)
        tab.keyboard.press("a")
    tab.get_by_role("alert").get_by_text("The next case could not be loaded.").wait_for()
    _log_in(tab, desk)
    tab.get_by_role("heading", name="Nothing left to review").wait_for()
    eventually(lambda: desk.decisions() == DECIDED * 4, "all decisions")


def test_decisions_are_sent_after_the_cookies_were_lost(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.context.clear_cookies()
    tab.keyboard.press("a")
    tab.get_by_role("alert").get_by_text(f"Not saved: case {cases[0]}. You are no longer logged in").wait_for()
    _log_in(tab, desk)
    eventually(lambda: desk.decisions() == DECIDED, "the decision")


def test_decision_is_never_sent_as_somebody_else(desk: Desk, tab: Any, cases: list[int]) -> None:
    _log_out(tab, desk)
    tab.keyboard.press("a")
    tab.get_by_role("alert").get_by_text("You are no longer logged in.").wait_for()
    _log_in(tab, desk, "grace")
    tab.get_by_role("alert").get_by_text("You are logged in as grace now").wait_for()
    assert desk.decisions() == []
    _log_out(tab, desk)
    _log_in(tab, desk)
    eventually(lambda: desk.decisions() == DECIDED, "the decision")


def test_grid_can_be_sent_after_logging_out_and_in_again(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.goto(f"{desk.url}/grid/")
    tab.get_by_role("checkbox").first.check()
    for button in ("Preview…", "Decide 1 case", "Undo"):
        _log_out(tab, desk)
        _log_in(tab, desk)
        tab.get_by_role("button", name=button).click()
        tab.wait_for_load_state()
        assert "Forbidden" not in tab.title()
    assert [kind for kind, *_ in desk.decisions()] == ["corrected", "undo"]


def test_grid_tells_that_nothing_was_sent_without_a_login(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.goto(f"{desk.url}/grid/?expected_label=teapot")
    tab.get_by_role("checkbox").first.check()
    _log_out(tab, desk)
    tab.get_by_role("button", name="Preview…").click()
    tab.get_by_label("Username:").fill("ada")
    tab.get_by_label("Password:").fill(desk.passwords["ada"])
    tab.get_by_role("button", name="Log in").click()
    tab.get_by_text("You had been logged out, so nothing was saved.").wait_for()
    assert "/grid/?expected_label=teapot" in tab.url


def test_action_of_the_list_and_next_can_be_sent_after_logging_out_and_in_again(
    desk: Desk, tab: Any, cases: list[int]
) -> None:
    tab.goto(f"{desk.url}/")
    tab.get_by_label(f"Select case {cases[3]}", exact=True).check()
    tab.get_by_label("Action:").select_option(label="Mark as unusable…")
    _log_out(tab, desk)
    _log_in(tab, desk)
    tab.get_by_role("button", name="Go").click()
    tab.get_by_text("→ Unusable").wait_for()
    tab.goto(f"{desk.url}/")
    _log_out(tab, desk)
    _log_in(tab, desk)
    tab.get_by_role("button", name="Next for me").click()
    wait_for_case(tab, cases[0])


def test_data_set_can_be_requested_after_logging_out_and_in_again(desk: Desk, open_tab: OpenTab) -> None:
    desk.open_cases(1)
    lead = open_tab("")
    log_in(lead, desk, "lead")
    start_reviewing(lead, desk)
    lead.get_by_role("button", name="The model was right").click()
    lead.get_by_role("heading", name="Nothing left to review").wait_for()
    lead.goto(f"{desk.site.url}/admin/learning/export/add/")
    lead.get_by_role("button", name="Make this data set").wait_for()
    _log_out(lead, desk)
    _log_in(lead, desk, "lead")
    lead.get_by_role("button", name="Make this data set").click()
    lead.get_by_text("The data set is being made.").wait_for()
