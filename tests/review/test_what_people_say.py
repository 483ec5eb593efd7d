"""From a visitor's "no" to a reviewer's decision, and back to the visitor."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser


@pytest.fixture
def visitor(desk: Desk, open_tab: OpenTab) -> Any:
    """A visitor's tab with an answer."""
    tab = open_tab("")
    tab.goto(desk.answers[0]["links"]["page"])
    return tab


def _say_no(tab: Any, typed: str) -> None:
    """Answers the question and sends the form by keyboard."""
    tab.get_by_role("button", name="Yes").focus()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    eventually(lambda: tab.evaluate("document.activeElement.name") == "expected", "the focus")
    tab.keyboard.type(typed)
    tab.get_by_role("option").first.wait_for()
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")


def test_feedback_can_be_replaced_until_the_case_is_decided(desk: Desk, visitor: Any, open_tab: OpenTab) -> None:
    _say_no(visitor, "siamese")
    visitor.get_by_text("You said: no, it is “Siamese cat”.").wait_for()
    case = desk.case_of(0)

    visitor.get_by_text("Change").click()
    field = visitor.get_by_role("combobox", name="What is it really?")
    assert field.input_value() == "Siamese cat"
    field.fill("tabby")
    visitor.get_by_role("button", name="Send", exact=True).click()
    visitor.get_by_text("You said: no, it is “tabby”.").wait_for()
    said = desk.rows("SELECT expected_label, is_current FROM feedback_feedback ORDER BY id")
    assert said == [("Siamese_cat", 0), ("tabby", 1)], "the earlier statement is stored, but not current"

    reviewer = open_tab("ada")
    start_reviewing(reviewer, desk)
    wait_for_case(reviewer, case)
    assert "1 wrong" in reviewer.locator(".said-counts").inner_text()

    visitor.get_by_text("Change").click()  # a form that was open before the decision
    reviewer.keyboard.press("a")
    eventually(lambda: desk.decisions() == [("corrected", "tabby", "ada")], "the decision")
    field.fill("cup")
    visitor.get_by_role("button", name="Send", exact=True).click()
    visitor.get_by_text("A reviewer has decided this already.").wait_for()
    assert visitor.get_by_text("A reviewer looked at this: it is “tabby”.").is_visible()
    assert visitor.get_by_text("You said: no, it is “tabby”.").is_visible()
    assert visitor.get_by_text("Change").count() == 0
    assert len(desk.rows("SELECT id FROM feedback_feedback")) == 2


@pytest.mark.parametrize(
    ("button", "told"),
    [
        ("The model was right", "A reviewer confirmed the answer:"),
        ("Unusable", "A reviewer looked at this: the picture cannot be used."),
    ],
)
def test_result_page_shows_the_decision(desk: Desk, visitor: Any, open_tab: OpenTab, button: str, told: str) -> None:
    visitor.get_by_role("button", name="Not sure").click()
    visitor.get_by_text("Thank you. A reviewer will look at it.").wait_for()
    assert visitor.get_by_text("A reviewer looked").count() == 0
    reviewer = open_tab("ada")
    reviewer.goto(f"{desk.url}/{desk.case_of(0)}/focus/")
    reviewer.get_by_role("button", name=button).click()
    eventually(lambda: desk.decisions(), "the decision")
    visitor.reload()
    assert visitor.get_by_text(told).is_visible()
    reviewer.keyboard.press("u")
    eventually(lambda: len(desk.decisions()) == 2, "the undo")
    visitor.reload()
    assert visitor.get_by_text(told).count() == 0


def test_two_visitors_give_two_statements(desk: Desk, open_tab: OpenTab) -> None:
    for label in ("cup", "teapot"):
        tab = open_tab("")
        tab.goto(desk.answers[0]["links"]["page"])
        tab.get_by_text("No", exact=True).click()
        tab.get_by_role("combobox").fill(label)
        tab.get_by_role("button", name="Send", exact=True).click()
        tab.get_by_text(f"You said: no, it is “{label}”.").wait_for()
    reviewer = open_tab("ada")
    start_reviewing(reviewer, desk)
    assert "2 wrong" in reviewer.locator(".said-counts").inner_text()
