"""What a visitor says on the result page: how many actions each task takes, with a mouse, a phone or a keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from devtools.running import eventually
from tests.result.conftest import OpenTab, open_result

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Counted:
    """A tab whose clicks, keys and typed letters are counted."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.actions = 0
        self.letters = 0

    def click(self, role: str, name: str) -> None:
        self.tab.get_by_role(role, name=name, exact=True).click()
        self.actions += 1

    def click_no(self) -> None:
        self.tab.get_by_text("No", exact=True).click()
        self.actions += 1

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)
            self.actions += 1

    def type(self, text: str) -> None:
        self.tab.keyboard.type(text)
        self.letters += len(text)


# --- How many actions each task takes --------------------------------------------------------------


def test_confirming_takes_one_action(open_tab: OpenTab, coffee: bytes) -> None:
    counted = Counted(open_tab())
    open_result(counted.tab, coffee)
    counted.click("button", "Yes")
    counted.tab.get_by_text("You said: yes, the answer is right.").wait_for()
    assert counted.actions == 1


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False}, PHONE])
def test_correcting_with_one_of_the_best_labels_takes_two_actions(
    open_tab: OpenTab, coffee: bytes, options: dict[str, Any]
) -> None:
    counted = Counted(open_tab(**options))
    open_result(counted.tab, coffee)
    counted.click_no()
    counted.click("button", "coffee mug")
    counted.tab.get_by_text("You said: no, it is “coffee mug”.").wait_for()
    counted.tab.get_by_text("Thank you. A reviewer will look at it.").wait_for()
    assert counted.tab.get_by_role("heading", name="coffee mug").is_visible()
    assert counted.actions == 2


def test_correcting_with_any_label_takes_four_actions_and_its_letters(open_tab: OpenTab, coffee: bytes) -> None:
    counted = Counted(open_tab())
    open_result(counted.tab, coffee)
    counted.click_no()
    eventually(lambda: counted.tab.evaluate("document.activeElement.name") == "expected", "the focus")
    counted.type("husk")
    counted.tab.get_by_role("option", name="Siberian husky").wait_for()
    counted.press("ArrowDown", "Enter", "Enter")
    counted.tab.get_by_text("You said: no, it is “Siberian husky”.").wait_for()
    assert (counted.actions, counted.letters) == (4, 4)


@pytest.mark.parametrize("javascript", [True, False])
def test_deleting_takes_two_actions(open_tab: OpenTab, coffee: bytes, javascript: bool) -> None:
    counted = Counted(open_tab(java_script_enabled=javascript))
    open_result(counted.tab, coffee)
    counted.click("link", "Delete this picture")
    counted.click("button", "Delete")
    counted.tab.get_by_role("heading", name="was deleted").wait_for()
    assert counted.actions == 2


# --- The keyboard, screen readers, no JavaScript ---------------------------------------------------


@pytest.mark.parametrize("javascript", [True, False])
def test_everything_can_be_said_by_keyboard(open_tab: OpenTab, coffee: bytes, javascript: bool) -> None:
    tab = open_tab(java_script_enabled=javascript)
    open_result(tab, coffee)
    tab.get_by_role("button", name="Yes").focus()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # "No"
    one_of_these = tab.get_by_role("group", name="Is it one of these?")
    names = one_of_these.get_by_role("button").all_inner_texts()
    assert len(names) == 4 and "espresso" not in names
    if javascript:
        eventually(lambda: tab.evaluate("document.activeElement.name") == "expected", "the focus")
        tab.keyboard.press("Shift+Tab")
    else:
        for _ in names:
            tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # the last of the labels
    tab.get_by_text(f"You said: no, it is “{names[-1]}”.").wait_for()

    tab.get_by_text("Change").focus()
    tab.keyboard.press("Enter")
    if javascript:
        eventually(lambda: tab.evaluate("document.activeElement.name") == "expected", "the focus")
    tab.get_by_role("radio", name="No", exact=True).focus()
    tab.keyboard.press("ArrowLeft")  # to "Yes"
    tab.get_by_role("button", name="Send").focus()
    tab.keyboard.press("Enter")
    tab.get_by_text("You said: yes, the answer is right.").wait_for()


def test_the_page_tells_what_the_visitor_has_said(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    open_result(tab, coffee)
    tab.evaluate("window.isSamePage = true")
    picture = tab.locator(".picture img")
    picture.evaluate("image => (image.isSame = true)")
    tab.get_by_role("button", name="Not sure").click()
    tab.get_by_text("You said: not sure.").wait_for()
    assert tab.evaluate("isSamePage"), "without a reload"
    assert picture.evaluate("image => image.isSame"), "the picture does not load again"
    assert tab.evaluate("document.activeElement.className") == "thanks", "screen readers read it"


def test_what_was_typed_outlasts_a_lost_connection(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    open_result(tab, coffee)
    tab.get_by_text("No", exact=True).click()
    tab.locator(".combobox").wait_for()
    tab.get_by_label("What is it really?").fill("cup")
    tab.get_by_label("Anything to add?").fill("a small one")
    tab.context.set_offline(True)
    tab.get_by_role("button", name="Send").click()
    tab.get_by_role("alert").get_by_text("This could not be sent.").wait_for()
    tab.context.set_offline(False)
    tab.get_by_role("button", name="Send").click()
    tab.get_by_text("You said: no, it is “cup”.").wait_for()
    assert tab.locator("blockquote").inner_text() == "a small one"


def test_says_why_the_site_does_not_store_feedback(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    open_result(tab, coffee)
    tab.context.clear_cookies()
    tab.get_by_role("button", name="Yes").click()
    alert = tab.locator(".not-sent")
    alert.wait_for()
    assert not alert.inner_text().startswith("Error") and "cookie" in alert.inner_text()


def test_a_comment_goes_with_a_clicked_label(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    open_result(tab, coffee)
    tab.get_by_text("No", exact=True).click()
    tab.get_by_label("Anything to add?").fill("a small one")
    tab.get_by_role("button", name="cup", exact=True).click()
    tab.get_by_text("You said: no, it is “cup”.").wait_for()
    assert tab.locator("blockquote").inner_text() == "a small one"


def test_the_keyboard_of_a_phone_does_not_cover_the_labels(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(**PHONE)
    open_result(tab, coffee)
    tab.get_by_text("No", exact=True).tap()
    tab.locator(".combobox").wait_for()
    assert tab.evaluate("document.activeElement.name") != "expected"
