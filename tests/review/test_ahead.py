"""The next cases are loaded in advance, and decisions are sent in the background."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser

# Whether the picture is loaded.
HAS_PICTURE = "image => image.complete && image.naturalWidth > 0"


class Network:
    """The network between a tab and the site, which can delay requests or be disconnected."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.is_delaying = False
        self.delayed: list[Any] = []

    def delay(self) -> None:
        """Delays every request until `release`."""
        self.is_delaying = True
        self.tab.route("**/*", lambda route: self.delayed.append(route) if self.is_delaying else route.continue_())

    def release(self) -> None:
        self.is_delaying = False
        for route in self.delayed:
            route.continue_()
        self.tab.unroute("**/*")

    def disconnect(self) -> None:
        self.tab.route("**/*", lambda route: route.abort())

    def reconnect(self) -> None:
        self.tab.unroute("**/*")


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(8, "teapot")


def _start_reviewing(tab: Any, desk: Desk, cases: list[int]) -> Network:
    """Opens the first case and waits until the five next ones are loaded."""
    start_reviewing(tab, desk)
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[5]) == "ada", "the next cases are claimed in advance")
    tab.wait_for_load_state("networkidle")
    return Network(tab)


def test_the_next_cases_need_no_request(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab()
    network = _start_reviewing(tab, desk, cases)
    assert desk.claimed_by(cases[6]) is None
    network.delay()
    for case in cases[1:6]:
        tab.keyboard.press("a")
        wait_for_case(tab, case)
        assert tab.locator(".picture-frame img").evaluate(HAS_PICTURE)
        assert tab.url.endswith(f"/{case}/focus/")
    assert desk.decisions() == [], "the requests are still delayed"
    tab.keyboard.press("x")  # the next case is not loaded yet, so the page waits
    tab.locator('#review[aria-busy="true"]').wait_for()
    network.release()
    wait_for_case(tab, cases[6])
    eventually(lambda: len(desk.decisions()) == 6, "all decisions")
    assert desk.decisions() == [("corrected", "teapot", "ada")] * 5 + [("unusable", "", "ada")]


def test_leaving_with_unsent_decisions_asks_for_confirmation(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab(expects="ERR_FAILED")
    network = _start_reviewing(tab, desk, cases)
    network.disconnect()
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    alert = tab.get_by_role("alert").get_by_text(f"Not saved: case {cases[0]}. The server cannot be reached.")
    alert.wait_for()
    with tab.expect_event("dialog") as asks:
        tab.close(run_before_unload=True)
    asks.value.dismiss()
    network.reconnect()
    eventually(lambda: desk.decisions() == [("corrected", "teapot", "ada")], "the decision")
    alert.wait_for(state="detached")


def test_browser_history_leads_through_the_cases(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab()
    _start_reviewing(tab, desk, cases)
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    eventually(lambda: desk.decisions(cases[0]), "the decision")
    tab.go_back()
    wait_for_case(tab, cases[0])
    tab.get_by_text("Corrected to “teapot”", exact=True).wait_for()
    tab.go_forward()
    wait_for_case(tab, cases[1])
    tab.get_by_role("button", name="The model was right").wait_for()


def test_case_left_by_back_comes_next(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab()
    _start_reviewing(tab, desk, cases)
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    eventually(lambda: desk.decisions(cases[0]), "the decision")
    tab.go_back()
    wait_for_case(tab, cases[0])
    tab.keyboard.press("n")
    wait_for_case(tab, cases[1])


def test_leaving_releases_the_cases_claimed_in_advance(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab()
    _start_reviewing(tab, desk, cases)
    tab.goto(desk.url)
    eventually(lambda: desk.rows("SELECT COUNT(claimed_by_id) FROM review_case") == [(1,)], "the next cases are free")
    assert desk.claimed_by(cases[0]) == "ada", "the case on the page is still claimed"
    tab.go_back()
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[1]) == "ada", "back on the page, the next case is claimed again")
