"""The list of labels under a text field: by keyboard, by mouse, and when the server is late or away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running import RunningSite

pytestmark = pytest.mark.browser

# Counts what a page would hear of it, and shows whether the page was left.
COUNT_CHANGES = "input => { window.changes = 0; input.addEventListener('change', () => (window.changes += 1)); }"


@pytest.fixture
def tab(site: RunningSite, browser, coffee: bytes) -> Iterator[Any]:
    """The result page of an espresso, where somebody has just said that it is none."""
    tab = browser.new_page(viewport={"width": 800, "height": 900})
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(site.predict(coffee).json()["links"]["page"])
    tab.get_by_label("No", exact=True).check()
    _field(tab).evaluate(COUNT_CHANGES)
    yield tab
    tab.close()
    assert complaints == []


def _field(tab) -> Any:
    return tab.get_by_role("combobox", name="What is it really?")


def _options(tab) -> list[str]:
    """What is in the list, once it is there."""
    tab.get_by_role("option").first.wait_for()
    return [re.sub(r"\s+", " ", text) for text in tab.get_by_role("option").all_inner_texts()]


def _active(tab) -> str | None:
    """The option that the field names as active, which must be the one that is marked."""
    name = _field(tab).get_attribute("aria-activedescendant")
    marked = tab.locator("[role=option][aria-selected=true]")
    assert marked.count() == (1 if name else 0)
    assert not name or marked.get_attribute("id") == name
    return marked.inner_text() if name else None


def test_by_keyboard(tab) -> None:
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

    field.press("Enter")  # now it is the form's
    tab.get_by_text("You said: no, it is “Eskimo dog”.").wait_for()


def test_an_exact_match_is_taken(tab) -> None:
    field = _field(tab)
    field.fill("COFFEE-mug")
    assert _options(tab) == ["coffee mug 0.3%"] and _active(tab) == "coffee mug\n0.3%"
    field.press("Enter")
    assert field.input_value() == "coffee mug" and tab.evaluate("changes") == 1


def test_enter_without_an_option_sends_what_is_typed(tab) -> None:
    _field(tab).fill("husky")
    _field(tab).press("Enter")
    tab.get_by_text("You said: no, it is “Eskimo dog”.").wait_for()


def test_opening_and_closing(tab) -> None:
    field = _field(tab)
    field.focus()
    assert field.get_attribute("aria-expanded") == "false"
    field.press("Alt+ArrowDown")
    options = _options(tab)
    assert [option.split(" ")[0] for option in options[:2]] == ["espresso", "cup"] and options[5] == "abacus"
    assert _active(tab) is None
    field.press("Alt+ArrowUp")
    assert tab.get_by_role("option").count() == 0
    field.press("ArrowDown")
    _options(tab)
    assert (_active(tab) or "").startswith("espresso")
    field.press("Tab")
    assert (field.input_value(), tab.evaluate("changes")) == ("", 0), "Tab takes nothing"
    assert tab.get_by_role("option").count() == 0
    assert tab.get_by_label("Something else?").evaluate("field => field === document.activeElement")


def test_escape(tab) -> None:
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


def test_by_mouse(tab) -> None:
    field = _field(tab)
    field.click()
    _options(tab)
    tab.get_by_role("option", name="consomme").click()
    assert field.input_value() == "consomme" and tab.evaluate("changes") == 1
    assert field.evaluate("field => field === document.activeElement"), "one may go on typing"
    assert tab.get_by_role("option").count() == 0
    tab.mouse.click(400, 5)
    assert field.input_value() == "consomme"


def test_nothing_fits(tab) -> None:
    _field(tab).fill("no such thing")
    tab.get_by_text("No label matches “no such thing”.").wait_for()
    assert _field(tab).get_attribute("aria-expanded") == "false"
    assert tab.get_by_role("status").bounding_box()["height"] > 10, "for all to see"
    _field(tab).fill("cup")
    _options(tab)
    assert tab.get_by_role("status").bounding_box()["height"] <= 1, "for those who hear the page"


def test_an_answer_that_comes_too_late(tab) -> None:
    late: list[Any] = []
    tab.route(re.compile(r"q=cu(&|$)"), lambda route: late.append(route))
    _field(tab).fill("cu")
    tab.wait_for_timeout(300)  # longer than the pause after which it asks
    assert len(late) == 1
    _field(tab).fill("cup")
    found = _options(tab)
    late[0].fulfill(json={"query": "cu", "exact": None, "labels": []})
    tab.wait_for_timeout(200)
    assert found[0].startswith("cup") and _options(tab) == found


def test_the_server_is_away(tab) -> None:
    tab.route("**/api/labels?*", lambda route: route.fulfill(body="a page of some proxy's"))
    _field(tab).fill("cup")
    tab.get_by_text("Suggestions aren't available.").wait_for()
    _field(tab).press("Enter")
    tab.get_by_text("You said: no, it is “cup”.").wait_for()


def test_another_page_may_use_it(site: RunningSite, tab) -> None:
    """As a module, on a field of its own, with a callback; and twice does no harm."""
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
    assert field.count() == 1, "the list is no part of its name"
    tab.get_by_role("option", name="tabby").click()
    taken = tab.evaluate("taken")
    assert (field.input_value(), taken["label"], taken["score"]) == ("tabby", "tabby", None)
    assert tab.locator("[role=listbox]").count() == 2
    tab.wait_for_timeout(300)
    assert tab.get_by_role("option").count() == 0, "a click on an option is none on the field"
