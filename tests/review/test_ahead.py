"""The next case is loaded in advance, and decisions are sent in the background."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, case_on, wait_for_case

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

    def disconnect(self) -> None:
        self.tab.route("**/*", lambda route: route.abort())

    def reconnect(self) -> None:
        self.tab.unroute("**/*")


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(4, "teapot")


def _start_reviewing(tab: Any, desk: Desk, cases: list[int]) -> Network:
    tab.goto(f"{desk.url}/next/")
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[1]) == "ada", "the next case is claimed in advance")
    tab.wait_for_load_state("networkidle")
    return Network(tab)


def test_the_next_case_needs_no_request(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab()
    network = _start_reviewing(tab, desk, cases)
    network.delay()
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    assert tab.locator(".picture-frame img").evaluate(HAS_PICTURE)
    assert desk.decisions() == [], "the request is still delayed"
    assert tab.url.endswith(f"/{cases[1]}/focus/")
    tab.keyboard.press("x")  # the next case is not loaded yet, so the page waits
    tab.locator('#review[aria-busy="true"]').wait_for()
    network.release()
    wait_for_case(tab, cases[2])
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
    assert desk.decisions() == [("corrected", "teapot", "ada"), ("unusable", "", "ada")]


def test_decisions_wait_until_the_server_is_back(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab(expects="ERR_FAILED")
    network = _start_reviewing(tab, desk, cases)
    tab.clock.install()
    network.disconnect()
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    alert = tab.get_by_role("alert").get_by_text(f"Not saved: case {cases[0]}. The server cannot be reached.")
    for _ in range(20):  # it retries by itself, with growing pauses
        if alert.count():
            break
        tab.clock.run_for(1000)
    alert.wait_for()
    with tab.expect_event("dialog") as asks:  # leaving the page asks for confirmation
        tab.close(run_before_unload=True)
    asks.value.dismiss()
    network.reconnect()
    tab.get_by_role("button", name="Retry").click()
    eventually(lambda: desk.decisions() == [("corrected", "teapot", "ada")], "the decision")
    alert.wait_for(state="detached")


def test_decision_is_sent_after_a_new_login(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab(expects="status of 403")
    _start_reviewing(tab, desk, cases)
    cookies = tab.context.cookies()
    tab.context.clear_cookies()
    tab.keyboard.press("a")
    tab.get_by_role("alert").get_by_text(f"Not saved: case {cases[0]}.").wait_for()
    tab.context.add_cookies(cookies)  # logged in again, in another tab
    tab.get_by_role("button", name="Retry").click()
    eventually(lambda: desk.decisions() == [("corrected", "teapot", "ada")], "the decision")
    assert case_on(tab) == cases[1]


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


def test_leaving_releases_the_case_claimed_in_advance(desk: Desk, open_tab: OpenTab, cases: list[int]) -> None:
    tab = open_tab()
    _start_reviewing(tab, desk, cases)
    tab.goto(desk.url)
    eventually(lambda: desk.claimed_by(cases[1]) is None, "the next case is free")
    assert desk.claimed_by(cases[0]) == "ada", "the case on the page is still claimed"
    tab.go_back()
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[1]) == "ada", "back on the page, the next case is claimed again")
