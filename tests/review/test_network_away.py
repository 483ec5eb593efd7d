"""The network is away, the server is slow, or the page is closed too early: every decision arrives, once."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser

AWAY = "ERR_INTERNET_DISCONNECTED|ERR_FAILED"
FIVE = "axr1x"
FILL_STORAGE = """() => {
    const setItem = Storage.prototype.setItem;
    Storage.prototype.setItem = function (...item) {
        if (this === localStorage) throw new DOMException("full", "QuotaExceededError");
        setItem.apply(this, item);
    };
}"""


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(10, "teapot")


@pytest.fixture
def tab(desk: Desk, open_tab: OpenTab, cases: list[int]) -> Any:
    """A tab with the first case, in which the five next ones are loaded."""
    tab = open_tab("ada", expects=f"{AWAY}|status of 409")
    _open_first(tab, desk, cases)
    return tab


def _open_first(tab: Any, desk: Desk, cases: list[int]) -> None:
    start_reviewing(tab, desk)
    wait_for_case(tab, cases[0])
    eventually(lambda: desk.claimed_by(cases[5]) == "ada", "the next cases are claimed in advance")
    tab.wait_for_load_state("networkidle")


def _press(tab: Any, cases: list[int], keys: str) -> None:
    for case, key in zip(cases, keys, strict=False):
        wait_for_case(tab, case)
        tab.keyboard.press(key)


def _wanted(desk: Desk, keys: str) -> list[tuple[str, str, str]]:
    """Returns the decisions that these keys lead to on the first cases."""
    top = [desk.labels(photo)[0] for photo in range(len(keys))]
    decisions = {
        "a": lambda photo: ("corrected", "teapot", "ada"),
        "x": lambda photo: ("unusable", "", "ada"),
        "r": lambda photo: ("right", top[photo], "ada"),
        "1": lambda photo: ("right", top[photo], "ada"),
    }
    return [decisions[key](photo) for photo, key in enumerate(keys) if key != "s"]


def _unsaved(tab: Any) -> Any:
    return tab.get_by_role("alert").get_by_text("Not saved: case")


def test_desk_goes_on_while_the_network_is_away_for_20_seconds(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.clock.install()
    tab.context.set_offline(True)
    _press(tab, cases, "axsr1")
    wait_for_case(tab, cases[5])
    tab.clock.run_for(20_000)
    _unsaved(tab).wait_for()
    assert "Nothing is lost." in _unsaved(tab).inner_text()
    assert desk.decisions() == []
    tab.context.set_offline(False)
    eventually(lambda: len(desk.decisions()) == 4, "all decisions, without a click")
    assert desk.decisions() == _wanted(desk, "axsr1"), "each once, in their order"
    eventually(lambda: desk.rows("SELECT case_id FROM review_skip") == [(cases[2],)], "the skip")
    _unsaved(tab).wait_for(state="detached")
    _press(tab, cases[5:], "xx")
    wait_for_case(tab, cases[7])
    eventually(lambda: len(desk.decisions()) == 6, "the later decisions")
    assert "6 done in this session" in tab.get_by_role("status").first.inner_text()


def test_page_goes_on_by_itself_when_no_loaded_case_was_left(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.context.set_offline(True)
    _press(tab, cases, FIVE + "x")
    alert = tab.get_by_role("alert").get_by_text("The next case could not be loaded. The server cannot be reached.")
    alert.wait_for()
    tab.context.set_offline(False)
    wait_for_case(tab, cases[6])
    alert.wait_for(state="detached")
    eventually(lambda: desk.decisions() == _wanted(desk, FIVE + "x"), "all decisions")


def test_typed_label_and_flag_go_on_while_the_network_is_away(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.context.set_offline(True)
    tab.keyboard.press("o")
    tab.keyboard.type("tabby")
    tab.keyboard.press("Enter")
    wait_for_case(tab, cases[1])
    tab.keyboard.press("f")
    tab.keyboard.type("Which one?")
    tab.keyboard.press("Enter")
    wait_for_case(tab, cases[2])
    tab.context.set_offline(False)
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
    assert desk.decisions() == [("corrected", "tabby", "ada"), ("flagged", "", "ada")]


def test_reload_sends_what_was_not_sent(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.route("**/decide/**", lambda route: route.abort())
    _press(tab, cases, "ax")
    wait_for_case(tab, cases[2])
    tab.reload()
    wait_for_case(tab, cases[2])
    _unsaved(tab).wait_for()
    assert desk.decisions() == []
    tab.unroute("**/decide/**")
    eventually(lambda: desk.decisions() == _wanted(desk, "ax"), "both decisions")
    _unsaved(tab).wait_for(state="detached")


def test_case_whose_decision_is_not_sent_is_not_shown_again(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.route("**/decide/**", lambda route: route.abort())
    _press(tab, cases, "a")
    wait_for_case(tab, cases[1])
    tab.goto(f"{desk.url}/{cases[0]}/focus/")
    tab.locator(f'#review:not([data-case="{cases[0]}"])').wait_for()
    tab.unroute("**/decide/**")
    eventually(lambda: desk.decisions() == _wanted(desk, "a"), "the decision")


def test_next_page_sends_what_a_closed_tab_has_left(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.route("**/decide/**", lambda route: route.abort())
    _press(tab, cases, "ax")
    wait_for_case(tab, cases[2])
    later = tab.context.new_page()
    tab.close()
    later.goto(f"{desk.url}/{cases[7]}/focus/")
    eventually(lambda: desk.decisions() == _wanted(desk, "ax"), "both decisions")


def test_two_tabs_send_each_decision_once(desk: Desk, tab: Any, cases: list[int]) -> None:
    """The second tab finds what the first one has not sent yet, and sends it, too."""
    other = tab.context.new_page()
    start_reviewing(other, desk)
    tab.context.set_offline(True)
    _press(tab, cases, "ax")
    wait_for_case(tab, cases[2])
    wait_for_case(other, cases[0])  # the case that this reviewer looks at already
    other.keyboard.press("s")
    tab.context.set_offline(False)
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
    third = tab.context.new_page()
    third.goto(f"{desk.url}/{cases[7]}/focus/")
    third.wait_for_load_state("networkidle")
    assert desk.decisions() == _wanted(desk, "ax")
    stored = "Object.keys(localStorage).filter((name) => name.startsWith('review-write:')).length"
    eventually(lambda: tab.evaluate(stored) == 0, "nothing is left")


def test_rejected_decision_does_not_block_those_behind_it(
    desk: Desk, tab: Any, cases: list[int], open_tab: OpenTab
) -> None:
    tab.context.set_offline(True)
    _press(tab, cases, "axr")
    wait_for_case(tab, cases[3])
    desk.let_claims_expire()
    grace = open_tab("grace", java_script_enabled=False)
    grace.goto(f"{desk.url}/{cases[1]}/focus/?predicted_label=nothing")  # her next case is none of these
    grace.get_by_role("button", name="Accept “teapot”").click()
    tab.context.set_offline(False)
    told = f"Case {cases[1]} wasn't saved. Already decided by grace (Corrected: teapot)."
    tab.get_by_role("alert").get_by_text(told).wait_for()
    eventually(lambda: len(desk.decisions()) == 3, "the other decisions")
    assert [desk.decisions(case)[0][2] for case in cases[:3]] == ["ada", "grace", "ada"]
    tab.get_by_role("link", name=f"Look at case {cases[1]}").click()
    tab.get_by_text("Corrected to “teapot” by grace").wait_for()


def test_rejected_note_can_be_copied_from_the_alert(desk: Desk, tab: Any, cases: list[int], open_tab: OpenTab) -> None:
    note = "<b>Which</b> of the two?"
    tab.context.set_offline(True)
    tab.keyboard.press("f")
    tab.keyboard.type(note)
    tab.keyboard.press("Enter")
    wait_for_case(tab, cases[1])
    desk.let_claims_expire()
    grace = open_tab("grace", java_script_enabled=False)
    grace.goto(f"{desk.url}/{cases[0]}/focus/?predicted_label=nothing")
    grace.get_by_role("button", name="Accept “teapot”").click()
    tab.context.set_offline(False)
    tab.get_by_role("alert").get_by_text(f"Case {cases[0]} wasn't saved.").wait_for()
    assert tab.locator("#review-alerts blockquote").inner_text() == note


def test_asks_to_keep_the_page_open_if_the_storage_is_full(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.evaluate(FILL_STORAGE)
    tab.context.set_offline(True)
    _press(tab, cases, "a")
    _unsaved(tab).wait_for()
    assert "Keep this page open until then." in _unsaved(tab).inner_text()
    tab.context.set_offline(False)
    eventually(lambda: desk.decisions() == _wanted(desk, "a"), "the decision")


def test_undo_waits_for_the_decision_before_it(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.context.set_offline(True)
    _press(tab, cases, "a")
    wait_for_case(tab, cases[1])
    tab.keyboard.press("u")
    tab.get_by_text("The undo waits until the decision before it is saved.").wait_for()
    tab.context.set_offline(False)
    wait_for_case(tab, cases[0])
    assert [kind for kind, _label, _reviewer in desk.decisions()] == ["corrected", "undo"]


def test_undo_whose_response_is_lost_before_a_reload_is_done_once(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.on("dialog", lambda dialog: dialog.accept())
    _press(tab, cases, "ax")
    wait_for_case(tab, cases[2])
    eventually(lambda: len(desk.decisions()) == 2, "both decisions")
    tab.reload()
    wait_for_case(tab, cases[2])
    lost: list[int] = []

    def lose(route: Any) -> None:
        lost.append(route.fetch().status)
        route.abort()

    tab.route("**/undo/**", lose)
    with tab.expect_event("requestfailed"):
        tab.keyboard.press("u")
    assert lost == [200]
    tab.unroute("**/undo/**")
    tab.reload()
    tab.get_by_text(f"Case {cases[1]}: undone (unusable).").wait_for()
    assert [kind for kind, _label, _reviewer in desk.decisions()] == ["corrected", "unusable", "undo"]


@pytest.mark.parametrize("status", [400, 413, 429, 500, 502, 503])
def test_decision_is_sent_again_after_an_error_page(
    desk: Desk, tab: Any, cases: list[int], status: int, open_tab: OpenTab
) -> None:
    slow = open_tab("ada", expects=f"status of {status}")
    tab.close()
    slow.goto(f"{desk.url}/{cases[0]}/focus/")
    wait_for_case(slow, cases[0])
    slow.route("**/decide/**", lambda route: route.fulfill(status=status, body="<h1>Busy</h1>"))
    slow.keyboard.press("a")
    slow.get_by_role("alert").get_by_text(f"Not saved: case {cases[0]}. The server answered {status}.").wait_for()
    slow.unroute("**/decide/**")
    slow.get_by_role("button", name="Retry").click()
    eventually(lambda: desk.decisions() == _wanted(desk, "a"), "the decision")


def test_refused_decision_lets_the_others_pass_and_is_given_up(
    desk: Desk, tab: Any, cases: list[int], open_tab: OpenTab
) -> None:
    """A proxy answers one request with an error page, whatever is tried."""
    tab.close()
    tab = open_tab("ada", expects="status of 404")
    tab.clock.install()
    _open_first(tab, desk, cases)
    tab.route(f"**/{cases[0]}/decide/**", lambda route: route.fulfill(status=404, body="<h1>Not found</h1>"))
    _press(tab, cases, "axr")
    given_up = tab.get_by_role("alert").get_by_text(f"Case {cases[0]} wasn't saved. The server answered 404.")
    for _pause in range(20):
        tab.clock.run_for(15_000)
        if given_up.is_visible():
            break
    assert "Try again" in given_up.inner_text()
    _unsaved(tab).wait_for(state="detached")
    assert desk.decisions() == _wanted(desk, "axr")[1:]
    tab.unroute(f"**/{cases[0]}/decide/**")
    tab.get_by_role("link", name=f"Look at case {cases[0]}").click()
    wait_for_case(tab, cases[0])
    tab.keyboard.press("a")
    eventually(lambda: desk.decisions(cases[0]) == _wanted(desk, "a"), "the decision, made again")


def test_no_decision_is_given_up_while_everything_is_refused(
    desk: Desk, tab: Any, cases: list[int], open_tab: OpenTab
) -> None:
    tab.close()
    tab = open_tab("ada", expects="status of 404")
    tab.clock.install()
    _open_first(tab, desk, cases)
    refused: list[str] = []

    def refuse(route: Any) -> None:
        refused.append(route.request.url)
        route.fulfill(status=404, body="<h1>Not found</h1>")

    tab.route("**/decide/**", refuse)
    _press(tab, cases, "axr")

    def are_refused_often() -> bool:
        tab.clock.run_for(15_000)
        return len(set(refused)) == 3 and len(refused) > 12

    eventually(are_refused_often, "four attempts to send each decision, and more")
    tab.unroute("**/decide/**")

    def all_are_sent() -> bool:
        tab.clock.run_for(15_000)
        return sorted(desk.decisions()) == sorted(_wanted(desk, "axr"))

    eventually(all_are_sent, "all decisions, by the page's own attempts")
    _unsaved(tab).wait_for(state="detached")
    assert tab.get_by_text("wasn't saved").count() == 0
