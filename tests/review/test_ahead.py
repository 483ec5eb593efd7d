"""Nobody waits: the next case is there already, and what is decided finds its way to the server by itself."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import Sit
from tests.review.desk import Desk, case_on, wait_for_case

pytestmark = pytest.mark.browser

# Whether the picture that is on the page can be seen, without any request for it.
HAS_PICTURE = "image => image.complete && image.naturalWidth > 0"


class Line:
    """The line between a tab and the site."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.is_held = False
        self.held: list[Any] = []

    def hold(self) -> None:
        """Nothing is answered from now on."""
        self.is_held = True
        self.tab.route("**/*", lambda route: self.held.append(route) if self.is_held else route.continue_())

    def release(self) -> None:
        self.is_held = False
        for route in self.held:
            route.continue_()

    def cut(self) -> None:
        self.tab.route("**/*", lambda route: route.abort())

    def mend(self) -> None:
        self.tab.unroute("**/*")


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(4, "teapot")


def _sit_down(tab: Any, desk: Desk, cases: list[int]) -> Line:
    tab.goto(f"{desk.url}/next/")
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[1]) == "ada", "the next case is claimed beforehand")
    tab.wait_for_load_state("networkidle")
    return Line(tab)


def test_the_next_case_needs_no_request(desk: Desk, sit: Sit, cases: list[int]) -> None:
    tab = sit()
    line = _sit_down(tab, desk, cases)
    line.hold()
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    assert tab.locator(".picture-frame img").evaluate(HAS_PICTURE)
    assert desk.decisions() == [], "no answer has come yet"
    assert tab.url.endswith(f"/{cases[1]}/focus/")
    tab.keyboard.press("x")  # one may go on deciding; now there is something to wait for
    tab.locator('#review[aria-busy="true"]').wait_for()
    line.release()
    wait_for_case(tab, cases[2])
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
    assert desk.decisions() == [("corrected", "teapot", "ada"), ("unusable", "", "ada")]


def test_nothing_is_lost_while_the_server_is_away(desk: Desk, sit: Sit, cases: list[int]) -> None:
    tab = sit(expects="ERR_FAILED")
    line = _sit_down(tab, desk, cases)
    tab.clock.install()
    line.cut()
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    alert = tab.get_by_role("alert").get_by_text(f"Not stored: case {cases[0]}. The server cannot be reached.")
    for _ in range(20):  # it tries by itself, later and later
        if alert.count():
            break
        tab.clock.run_for(1000)
    alert.wait_for()
    with tab.expect_event("dialog") as asks:  # whoever leaves the page is asked first
        tab.close(run_before_unload=True)
    asks.value.dismiss()
    line.mend()
    tab.get_by_role("button", name="Retry").click()
    eventually(lambda: desk.decisions() == [("corrected", "teapot", "ada")], "the decision")
    alert.wait_for(state="detached")


def test_a_session_that_ended_meanwhile(desk: Desk, sit: Sit, cases: list[int]) -> None:
    tab = sit(expects="status of 403")
    _sit_down(tab, desk, cases)
    cookies = tab.context.cookies()
    tab.context.clear_cookies()
    tab.keyboard.press("a")
    tab.get_by_role("alert").get_by_text(f"Not stored: case {cases[0]}.").wait_for()
    tab.context.add_cookies(cookies)  # logged in again, in another tab
    tab.get_by_role("button", name="Retry").click()
    eventually(lambda: desk.decisions() == [("corrected", "teapot", "ada")], "the decision")
    assert case_on(tab) == cases[1]


def test_back_and_forward(desk: Desk, sit: Sit, cases: list[int]) -> None:
    """The browser's own buttons lead through what was looked at."""
    tab = sit()
    _sit_down(tab, desk, cases)
    tab.keyboard.press("a")
    wait_for_case(tab, cases[1])
    eventually(lambda: desk.decisions(cases[0]), "the decision")
    tab.go_back()
    wait_for_case(tab, cases[0])
    tab.get_by_text("Corrected to “teapot”", exact=True).wait_for()
    tab.go_forward()
    wait_for_case(tab, cases[1])
    tab.get_by_role("button", name="The model was right").wait_for()


def test_who_leaves_gives_back_what_was_claimed_beforehand(desk: Desk, sit: Sit, cases: list[int]) -> None:
    tab = sit()
    _sit_down(tab, desk, cases)
    tab.goto(desk.url)
    eventually(lambda: desk.claimed_by(cases[1]) is None, "the next case is anybody's again")
    assert desk.claimed_by(cases[0]) == "ada", "what he was looking at is still his"
    tab.go_back()
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[1]) == "ada", "back at the desk, the next case is claimed again")
