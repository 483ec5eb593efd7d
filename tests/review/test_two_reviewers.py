"""Two reviewers at once never get the same case and never overwrite each other."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, case_on, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser

CASES = 12


def _open(tab: Any, desk: Desk, case: int) -> None:
    tab.goto(f"{desk.url}/{case}/focus/")
    wait_for_case(tab, case)


def _claim(tab: Any, desk: Desk, case: int) -> None:
    """Opens a case and waits until the page has claimed it."""
    _open(tab, desk, case)
    tab.locator(".claim-said").get_by_text("claimed by you until").wait_for()


def test_two_reviewers_get_different_cases(desk: Desk, open_tab: OpenTab) -> None:
    cases = desk.open_cases(CASES)
    tabs = {name: open_tab(name) for name in ("ada", "grace")}
    seen: dict[str, list[int]] = {name: [] for name in tabs}
    for tab in tabs.values():
        start_reviewing(tab, desk)
    while tabs:
        for name, tab in list(tabs.items()):
            tab.locator('#review:not([aria-busy="true"])').wait_for()
            if tab.get_by_role("heading", name="Nothing left to review").count():
                del tabs[name]
                continue
            seen[name].append(case_on(tab))
            wait_for_case(tab, seen[name][-1])
            tab.keyboard.press("r")
            tab.locator(f'#review[data-case="{seen[name][-1]}"]').wait_for(state="detached")
    eventually(lambda: len(desk.decisions()) == CASES, "all decisions")
    assert sorted(seen["ada"] + seen["grace"]) == cases
    assert min(len(some) for some in seen.values()) >= CASES // 3, "both had work"
    for name, own in seen.items():
        assert all(desk.decisions(case)[0][2] == name for case in own)


def test_claimed_case_shows_no_verdicts(desk: Desk, open_tab: OpenTab) -> None:
    (case,) = desk.open_cases(1)
    ada, grace = open_tab("ada"), open_tab("grace")
    _claim(ada, desk, case)
    _open(grace, desk, case)
    grace.get_by_text("claimed by ada until").wait_for()
    assert grace.get_by_role("button", name="The model was right").count() == 0
    grace.keyboard.press("r")
    grace.keyboard.press("1")
    grace.keyboard.press("n")
    grace.get_by_role("heading", name="Nothing left").wait_for()
    assert grace.get_by_role("link", name="Others are looking").is_visible()
    assert desk.decisions() == []


def test_rejects_case_that_somebody_else_decided(desk: Desk, open_tab: OpenTab) -> None:
    """The claim expires, and somebody else claims and decides the case. Nothing is overwritten."""
    case, after = desk.open_cases(2)
    ada, grace = open_tab("ada", expects="status of 409"), open_tab("grace")
    _claim(ada, desk, case)
    eventually(lambda: desk.claimed_by(after) == "ada", "the next case is claimed in advance")
    desk.let_claims_expire()
    _claim(grace, desk, case)
    grace.keyboard.press("a")
    eventually(lambda: desk.state(case) == "decided", "the decision")

    ada.keyboard.press("x")
    alert = ada.get_by_role("alert")
    alert.get_by_text(f"Case {case} wasn't saved. Already decided by grace (Corrected: cup).").wait_for()
    assert desk.decisions(case) == [("corrected", "cup", "grace")]
    assert "done in this session" not in ada.locator(".review-status").inner_text(), "it is not counted"
    alert.get_by_role("link", name=f"Look at case {case}").click()
    ada.get_by_text("Corrected to “cup” by grace").wait_for()
    ada.keyboard.press("u")  # there is no button to undo another reviewer's decision
    assert desk.decisions(case) == [("corrected", "cup", "grace")]


def test_rejects_case_that_somebody_else_claimed(desk: Desk, open_tab: OpenTab) -> None:
    """The claim expires, and somebody else opens the case."""
    case, after = desk.open_cases(2)
    ada, grace = open_tab("ada", expects="status of 409"), open_tab("grace")
    _claim(ada, desk, case)
    eventually(lambda: desk.claimed_by(after) == "ada", "the next case is claimed in advance")
    desk.let_claims_expire()
    _claim(grace, desk, case)
    ada.keyboard.press("x")
    ada.get_by_role("alert").get_by_text("grace is looking at this case now.").wait_for()
    assert desk.decisions() == [] and desk.claimed_by(case) == "grace"


def test_expired_claim_does_not_prevent_a_decision(desk: Desk, open_tab: OpenTab) -> None:
    """Unless somebody else has claimed the case."""
    (case,) = desk.open_cases(1)
    ada = open_tab("ada")
    _claim(ada, desk, case)
    desk.let_claims_expire()
    ada.keyboard.press("a")
    eventually(lambda: desk.decisions() == [("corrected", "cup", "ada")], "the decision")


def test_expired_claim_in_advance_is_renewed_or_replaced(desk: Desk, open_tab: OpenTab) -> None:
    """While a page is left open, somebody else claims its next case. The page then shows another one."""
    first, second, third = desk.open_cases(3)
    ada = open_tab("ada")
    grace = open_tab("grace", java_script_enabled=False)  # claims only what it is told to
    ada.clock.install()
    _claim(ada, desk, first)
    eventually(lambda: desk.claimed_by(second) == "ada", "the next case is claimed in advance")
    ada.wait_for_load_state("networkidle")
    desk.let_claims_expire()
    grace.goto(f"{desk.url}/{second}/focus/")
    grace.get_by_role("button", name="Claim it").click()
    ada.clock.fast_forward("16:00")
    ada.keyboard.press("r")
    ada.locator(f'#review[data-case="{third}"]').wait_for()
    assert (desk.claimed_by(second), desk.claimed_by(third)) == ("grace", "ada")
