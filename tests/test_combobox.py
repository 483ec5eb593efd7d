"""The list of labels under a text field: by keyboard, by mouse, and with a slow or failing server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from devtools.running import RunningSite
from tests.visitor_pages import answer_marked_as_wrong

pytestmark = pytest.mark.browser

# Counts the change events; the count is lost if the page is left.
COUNT_CHANGES = "input => { window.changes = 0; input.addEventListener('change', () => (window.changes += 1)); }"


@pytest.fixture
def tab(site: RunningSite, browser, coffee: bytes) -> Iterator[Any]:
    with answer_marked_as_wrong(site, browser, coffee, width=800, height=900) as tab:
        _field(tab).evaluate(COUNT_CHANGES)
        yield tab


def _field(tab) -> Any:
    return tab.get_by_role("combobox", name="What is it really?")


def _options(tab) -> list[str]:
    """Waits for the list and returns its options."""
    tab.get_by_role("option").first.wait_for()
    return [re.sub(r"\s+", " ", text) for text in tab.get_by_role("option").all_inner_texts()]


def _active(tab) -> str | None:
    """Returns the option that the field names as active, and checks that it is the marked one."""
    name = _field(tab).get_attribute("aria-activedescendant")
    marked = tab.locator("[role=option][aria-selected=true]")
    assert marked.count() == (1 if name else 0)
    assert not name or marked.get_attribute("id") == name
    return marked.inner_text() if name else None


def test_chooses_by_keyboard(tab) -> None:
    field = _field(tab)
    assert (field.get_attribute("list"), field.get_attribute("aria-expanded")) == (None, "false")
    field.focus()
    field.press_sequentially("husk")
    assert _options(tab) == ["Siberian husky", "Eskimo dog, husky"]
    assert field.get_attribute("aria-expanded") == "true" and _active(tab) is None
    assert tab.get_by_text("2 labels to choose from.").get_attribute("role") == "status"

    for key, active in [
        ("ArrowDown", "Siberian husky"),
        ("ArrowDown", "Eskimo dog, husky"),
        ("ArrowDown", "Siberian husky"),
        ("ArrowUp", None),
        ("ArrowUp", "Eskimo dog, husky"),
    ]:
        field.press(key)
        assert _active(tab) == active
    field.press("Enter")
    assert field.input_value() == "Eskimo dog" and tab.evaluate("changes") == 1
    assert (field.get_attribute("aria-expanded"), _active(tab)) == ("false", None)
    assert tab.get_by_role("option").count() == 0

    field.press("Enter")  # Enter submits the form now
    tab.get_by_text("You said: no, it is “Eskimo dog”.").wait_for()


def test_enter_takes_an_exact_match(tab) -> None:
    field = _field(tab)
    field.fill("COFFEE-mug")
    assert _options(tab) == ["coffee mug 0.3%"] and _active(tab) == "coffee mug\n0.3%"
    field.press("Enter")
    assert field.input_value() == "coffee mug" and tab.evaluate("changes") == 1


def test_enter_without_an_option_sends_the_typed_text(tab) -> None:
    _field(tab).fill("husky")
    _field(tab).press("Enter")
    tab.get_by_text("You said: no, it is “Eskimo dog”.").wait_for()


def test_arrow_keys_open_and_close_the_list(tab) -> None:
    field = _field(tab)
    field.focus()
    assert field.get_attribute("aria-expanded") == "false"
    field.press("Alt+ArrowDown")
    options = _options(tab)
    assert options[0].startswith("cup") and options[4] == "abacus", "the answer itself is left out"
    assert _active(tab) is None
    field.press("Alt+ArrowUp")
    assert tab.get_by_role("option").count() == 0
    field.press("ArrowDown")
    _options(tab)
    assert (_active(tab) or "").startswith("cup")
    field.press("Tab")
    assert (field.input_value(), tab.evaluate("changes")) == ("", 0), "Tab takes nothing"
    assert tab.get_by_role("option").count() == 0
    assert tab.get_by_label("Anything to add?").evaluate("field => field === document.activeElement")


def test_escape_closes_the_list_and_then_clears_the_field(tab) -> None:
    field = _field(tab)
    field.fill("cup")
    _options(tab)
    field.press("Escape")
    assert (tab.get_by_role("option").count(), field.input_value()) == (0, "cup")
    field.press("Escape")
    assert (field.input_value(), tab.evaluate("changes")) == ("", 1)


def test_home_and_end_move_in_the_text(tab) -> None:
    field = _field(tab)
    field.fill("up")
    _options(tab)
    field.press("Home")
    field.press_sequentially("c")
    field.press("End")
    field.press_sequentially("s")
    assert field.input_value() == "cups"


def test_chooses_by_mouse(tab) -> None:
    field = _field(tab)
    field.click()
    _options(tab)
    tab.get_by_role("option", name="consomme").click()
    assert field.input_value() == "consomme" and tab.evaluate("changes") == 1
    assert field.evaluate("field => field === document.activeElement"), "the field keeps the focus"
    assert tab.get_by_role("option").count() == 0
    tab.mouse.click(400, 5)
    assert field.input_value() == "consomme"


def test_says_that_no_label_fits(tab) -> None:
    _field(tab).fill("no such thing")
    tab.get_by_text("No label matches “no such thing”.").wait_for()
    assert _field(tab).get_attribute("aria-expanded") == "false"
    assert tab.locator(".combobox-status").bounding_box()["height"] > 10, "visible"
    _field(tab).fill("cup")
    _options(tab)
    assert tab.locator(".combobox-status").bounding_box()["height"] <= 1, "only announced"


def test_ignores_a_late_answer(tab) -> None:
    late: list[Any] = []
    tab.route(re.compile(r"q=cu(&|$)"), lambda route: late.append(route))
    _field(tab).fill("cu")
    tab.wait_for_timeout(300)  # longer than its debounce delay
    assert len(late) == 1
    _field(tab).fill("cup")
    found = _options(tab)
    late[0].fulfill(json={"query": "cu", "exact": None, "labels": []})
    tab.wait_for_timeout(200)
    assert found[0].startswith("cup") and _options(tab) == found


def test_typed_text_is_sent_while_the_list_fails(tab) -> None:
    tab.route("**/api/labels?*", lambda route: route.fulfill(body="a proxy's error page"))
    _field(tab).fill("cup")
    tab.get_by_text("Suggestions aren't available.").wait_for()
    _field(tab).press("Enter")
    tab.get_by_text("You said: no, it is “cup”.").wait_for()


def test_another_page_can_use_it(site: RunningSite, tab) -> None:
    """Another page can import the module for its own field, with a callback. Enhancing twice is harmless."""
    tab.evaluate(
        """async () => {
            const { enhance } = await import("/static/js/combobox.js");
            const input = document.createElement("input");
            input.dataset.combobox = "/api/labels";
            const label = document.createElement("label");
            label.append("Mine ", input);
            document.querySelector("main").prepend(label);
            input.focus();
            enhance(input, { onTake: () => {} });
            enhance(input, { onTake: (choice) => (window.taken = choice) });
        }"""
    )
    field = tab.get_by_role("combobox", name="Mine", exact=True)
    assert field.evaluate("field => field === document.activeElement")
    field.press_sequentially("tabby")
    _options(tab)
    assert field.count() == 1, "the list is not part of the name"
    tab.get_by_role("option", name="tabby").click()
    taken = tab.evaluate("taken")
    assert (field.input_value(), taken["label"], taken["score"]) == ("tabby", "tabby", None)
    assert tab.locator("[role=listbox]").count() == 2
    tab.wait_for_timeout(300)
    assert tab.get_by_role("option").count() == 0, "a click on an option does not reopen the list"
