"""The server carries out a write and its response is lost: the page sends it again, and it is done once."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(4, "teapot")


@pytest.fixture
def tab(desk: Desk, open_tab: OpenTab, cases: list[int]) -> Any:
    """A tab in which two cases were decided and the page of the third was reloaded."""
    tab = open_tab(expects="ERR_FAILED")
    start_reviewing(tab, desk)
    for case, key in zip(cases, "ax", strict=False):
        wait_for_case(tab, case)
        tab.keyboard.press(key)
    wait_for_case(tab, cases[2])
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
    tab.reload()
    wait_for_case(tab, cases[2])
    return tab


class LostResponse:
    """Drops the first response of an address after the server has carried out the request."""

    def __init__(self, tab: Any, address: str) -> None:
        self.statuses: list[int] = []
        tab.route(address, self._pass_on)

    def _pass_on(self, route: Any) -> None:
        response = route.fetch(max_redirects=0)
        self.statuses.append(response.status)
        if len(self.statuses) == 1:
            route.abort()
        else:
            route.fulfill(response=response)


def test_undo_after_a_reload_takes_back_one_decision(desk: Desk, tab: Any, cases: list[int]) -> None:
    answers = LostResponse(tab, "**/undo/**")
    tab.keyboard.press("u")
    wait_for_case(tab, cases[1])
    assert tab.get_by_role("status").first.inner_text().startswith(f"Case {cases[1]}: undone (unusable).")
    assert answers.statuses == [200, 200], "the page sent it again"
    assert [kind for kind, _label, _reviewer in desk.decisions()] == ["corrected", "unusable", "undo"]
    assert [desk.state(case) for case in cases] == ["decided", "open", "open", "open"]
    tab.keyboard.press("u")  # another press is another undo
    wait_for_case(tab, cases[0])
    assert [kind for kind, _label, _reviewer in desk.decisions()] == ["corrected", "unusable", "undo", "undo"]


@pytest.mark.parametrize("key", ["r", "s"])
def test_decision_and_skip_are_stored_once(desk: Desk, tab: Any, cases: list[int], key: str) -> None:
    answers = LostResponse(tab, f"**/{cases[2]}/decide/**")
    with tab.expect_response(f"**/{cases[2]}/decide/**"):  # the first response is dropped
        tab.keyboard.press(key)
    wait_for_case(tab, cases[3])
    assert answers.statuses == [200, 200], "the page sent it again"
    assert tab.get_by_role("alert").get_by_text("wasn't saved").count() == 0
    assert len(desk.decisions(cases[2])) == (1 if key == "r" else 0)
    assert len(desk.rows("SELECT id FROM review_skip")) == (0 if key == "r" else 1)


def test_undo_sent_twice_without_javascript_undoes_once(
    desk: Desk, tab: Any, open_tab: OpenTab, cases: list[int]
) -> None:
    """The browser shows its own error page; reloading sends the form again."""
    plain = open_tab(java_script_enabled=False, expects="ERR_FAILED")
    plain.goto(f"{desk.url}/{cases[2]}/focus/")
    answers = LostResponse(plain, "**/undo/**")
    plain.get_by_role("button", name="Undo").click()
    plain.wait_for_url("chrome-error://**")
    plain.reload()
    plain.locator(f'#review[data-case="{cases[1]}"]').wait_for()
    assert answers.statuses == [303, 303], "the browser sent the form again"
    assert [desk.state(case) for case in cases] == ["decided", "open", "open", "open"]
