"""Two reviewers at once: never the same case, and never one over the other."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import Sit
from tests.review.desk import Desk, case_on, wait_for_case

pytestmark = pytest.mark.browser

CASES = 12


def _open(tab: Any, desk: Desk, case: int) -> None:
    tab.goto(f"{desk.url}/{case}/focus/")
    wait_for_case(tab, case)


def test_never_the_same_case(desk: Desk, sit: Sit) -> None:
    cases = desk.open_cases(CASES)
    tabs = {name: sit(name) for name in ("ada", "grace")}
    seen: dict[str, list[int]] = {name: [] for name in tabs}
    for tab in tabs.values():
        tab.goto(f"{desk.url}/next/")
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


def test_a_case_that_somebody_else_looks_at(desk: Desk, sit: Sit) -> None:
    (case,) = desk.open_cases(1)
    ada, grace = sit("ada"), sit("grace")
    _open(ada, desk, case)
    _open(grace, desk, case)
    grace.get_by_text("Claimed by ada for another 14").wait_for()
    assert grace.get_by_role("button", name="The model was right").count() == 0
    grace.keyboard.press("r")
    grace.keyboard.press("1")
    grace.keyboard.press("n")
    grace.get_by_role("heading", name="Nothing left").wait_for()
    assert grace.get_by_role("link", name="Others are looking").is_visible()
    assert desk.decisions() == []


def test_decided_by_somebody_else_meanwhile(desk: Desk, sit: Sit) -> None:
    """The claim has run out, somebody else has taken the case and decided it. Nothing is overwritten."""
    case, after = desk.open_cases(2)
    ada, grace = sit("ada", expects="status of 409"), sit("grace")
    _open(ada, desk, case)
    eventually(lambda: desk.claimed_by(after) == "ada", "the next case is claimed beforehand")
    desk.let_claims_expire()
    _open(grace, desk, case)
    grace.keyboard.press("a")
    eventually(lambda: desk.state(case) == "decided", "the decision")

    ada.keyboard.press("x")
    alert = ada.get_by_role("alert")
    alert.get_by_text(f"Case {case} was not stored. Decided meanwhile by grace (Corrected: cup).").wait_for()
    assert desk.decisions(case) == [("corrected", "cup", "grace")]
    assert ada.locator(".review-status").inner_text() == f"Case {case}: not stored.", "and it does not count"
    alert.get_by_role("link", name=f"Look at case {case}").click()
    ada.get_by_text("Corrected to “cup” by grace").wait_for()
    ada.keyboard.press("u")  # there is no button for it: what another decided is not his to undo
    assert desk.decisions(case) == [("corrected", "cup", "grace")]


def test_taken_by_somebody_else_meanwhile(desk: Desk, sit: Sit) -> None:
    """The claim has run out, and somebody else looks at the case now."""
    case, _after = desk.open_cases(2)
    ada, grace = sit("ada", expects="status of 409"), sit("grace")
    _open(ada, desk, case)
    desk.let_claims_expire()
    _open(grace, desk, case)
    ada.keyboard.press("x")
    ada.get_by_role("alert").get_by_text("grace is looking at this case now.").wait_for()
    assert desk.decisions() == [] and desk.claimed_by(case) == "grace"


def test_a_claim_that_has_run_out_does_no_harm(desk: Desk, sit: Sit) -> None:
    """As long as nobody else was there, what took long to look at can be decided."""
    (case,) = desk.open_cases(1)
    ada = sit("ada")
    _open(ada, desk, case)
    desk.let_claims_expire()
    ada.keyboard.press("a")
    eventually(lambda: desk.decisions() == [("corrected", "cup", "ada")], "the decision")


def test_what_was_claimed_beforehand_is_asked_for_again(desk: Desk, sit: Sit) -> None:
    """A page that was left open over lunch: its next case has become somebody else's, and is not shown."""
    first, second, third = desk.open_cases(3)
    ada, grace = sit("ada"), sit("grace", java_script_enabled=False)  # without, she claims only what she looks at
    ada.clock.install()
    _open(ada, desk, first)
    eventually(lambda: desk.claimed_by(second) == "ada", "the next case is claimed beforehand")
    ada.wait_for_load_state("networkidle")
    desk.let_claims_expire()
    grace.goto(f"{desk.url}/{second}/focus/")
    ada.clock.fast_forward("16:00")
    ada.keyboard.press("r")
    ada.locator(f'#review[data-case="{third}"]').wait_for()
    assert (desk.claimed_by(second), desk.claimed_by(third)) == ("grace", "ada")
