"""The focus view tells the state of the claim, and how many cases are left, without a reload."""

from __future__ import annotations

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, case_on, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser


def test_claim_lapses_and_is_claimed_again(desk: Desk, open_tab: OpenTab) -> None:
    (case,) = desk.open_cases(1)
    tab = open_tab("ada")
    tab.clock.install()
    tab.goto(f"{desk.url}/{case}/focus/")
    tab.locator(".claim-said").get_by_text("claimed by you until").wait_for()
    assert not tab.get_by_role("button", name="Claim it").is_visible()
    desk.let_claims_expire()
    tab.clock.fast_forward("16:00")
    tab.get_by_role("status").get_by_text(f"Case {case}: your claim has lapsed.").wait_for()
    tab.locator(".claim-said").get_by_text("your claim lapsed at 00:00 UTC").wait_for()
    tab.get_by_role("button", name="Claim it").click()
    tab.locator(".claim-said").get_by_text("claimed by you until").wait_for()
    assert desk.claimed_by(case) == "ada"


def test_tells_that_somebody_else_has_taken_over(desk: Desk, open_tab: OpenTab) -> None:
    (case,) = desk.open_cases(1)
    tab, grace = open_tab("ada"), open_tab("grace")
    tab.clock.install()
    tab.goto(f"{desk.url}/{case}/focus/")
    tab.locator(".claim-said").get_by_text("claimed by you until").wait_for()
    desk.let_claims_expire()
    grace.goto(f"{desk.url}/{case}/focus/")
    grace.locator(".claim-said").get_by_text("claimed by you until").wait_for()
    tab.clock.fast_forward("16:00")
    tab.locator(".claim-said").get_by_text("taken over: claimed by grace until").wait_for()
    tab.get_by_role("status").get_by_text("taken over").wait_for()


def test_page_of_a_claimed_case_gets_its_buttons_when_the_claim_ends(desk: Desk, open_tab: OpenTab) -> None:
    (case,) = desk.open_cases(1)
    grace, tab = open_tab("grace", java_script_enabled=False), open_tab("ada")
    grace.goto(f"{desk.url}/{case}/focus/")
    grace.get_by_role("button", name="Claim it").click()
    tab.clock.install()
    tab.goto(f"{desk.url}/{case}/focus/")
    tab.get_by_text("claimed by grace until").wait_for()
    assert tab.get_by_role("button", name="Unusable").count() == 0
    tab.wait_for_load_state("networkidle")
    desk.let_claims_expire()
    tab.clock.fast_forward("16:00")
    tab.get_by_role("button", name="Unusable").wait_for()
    eventually(lambda: desk.claimed_by(case) == "ada", "the claim")


def test_following_or_prefetching_links_claims_nothing(desk: Desk, open_tab: OpenTab) -> None:
    desk.open_cases(3)
    tab = open_tab("ada")
    tab.goto(f"{desk.url}/")
    links = tab.locator("a[href], form[method=post]").evaluate_all("all => all.map((one) => one.href ?? one.action)")
    for link in {link for link in links if link.startswith(desk.url)}:
        tab.evaluate("(link) => fetch(link).then((response) => response.text())", link)
    assert desk.rows("SELECT COUNT(claimed_by_id) FROM review_case") == [(0,)]


def test_a_second_reviewer_is_not_starved_by_claims_in_advance(desk: Desk, open_tab: OpenTab) -> None:
    cases = desk.open_cases(4)
    ada, grace = open_tab("ada", expects="status of 409"), open_tab("grace")
    start_reviewing(ada, desk)
    wait_for_case(ada, cases[0])
    eventually(lambda: desk.claimed_by(cases[3]) == "ada", "all other cases are claimed in advance")
    start_reviewing(grace, desk)
    wait_for_case(grace, cases[3])
    for case in cases[:3]:
        wait_for_case(ada, case)
        ada.keyboard.press("r")
    ada.get_by_role("heading", name="Nothing left to review").wait_for()
    assert case_on(grace) == cases[3] and desk.claimed_by(cases[3]) == "grace"
    eventually(lambda: len(desk.decisions()) == 3, "ada's decisions")


def test_number_of_cases_left_follows_each_decision(desk: Desk, open_tab: OpenTab) -> None:
    cases = desk.open_cases(5)
    tab = open_tab("ada", expects="ERR_INTERNET_DISCONNECTED")
    start_reviewing(tab, desk)
    left = tab.locator(".review-left")
    for number, (case, key) in enumerate(zip(cases, "rxsx", strict=False)):
        wait_for_case(tab, case)
        assert left.inner_text() == f"{5 - number} left"
        tab.keyboard.press(key)
        if key == "s":
            break
    wait_for_case(tab, cases[3])
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
    assert left.inner_text() == "3 left", "a skipped case is left"
    tab.keyboard.press("u")  # the skip
    wait_for_case(tab, cases[2])
    tab.keyboard.press("u")
    wait_for_case(tab, cases[1])
    assert left.inner_text() == "4 left"
    desk.say(6, "cup")  # a new case comes in
    tab.keyboard.press("x")
    left.get_by_text("4 left").wait_for()
    tab.context.set_offline(True)
    tab.keyboard.press("x")
    left.get_by_text("3 left").wait_for()
    tab.context.set_offline(False)
    eventually(lambda: len(desk.rows("SELECT id FROM review_case WHERE state = 'open'")) == 3, "the decision")
    left.get_by_text("3 left").wait_for()
