"""Bad and hostile input: a clear message, nothing lost, nothing executed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from devtools.running import eventually
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, start_reviewing, wait_for_case

pytestmark = pytest.mark.browser

HOSTILE = (
    "</p></textarea><script>window.ran = 1</script><img src=x onerror='window.ran = 1'> {{ 7 }} \x07\x1b[31m\x08"
    '\u202egnp.exe\u2028=HYPERLINK("http://example.com")'
)


def _ran(tab: Any) -> bool:
    return bool(tab.evaluate("Boolean(window.ran)"))


@pytest.mark.parametrize("scripts", [True, False])
def test_comment_is_shown_as_text(desk: Desk, open_tab: OpenTab, scripts: bool) -> None:
    case = desk.say(0, "cup", comment=HOSTILE)
    desk.say(1, "", comment="")
    lead = open_tab("lead", java_script_enabled=scripts)
    lead.goto(f"{desk.url}/{case}/focus/")
    words = lead.locator(".comments .words").inner_text()
    assert "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'> {{ 7 }}" in words
    assert "[U+202E]gnp.exe[U+2028]=HYPERLINK" in words, "characters that change the direction are shown as text"
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028]", words)
    for path in ("", "?q=window.ran", "grid/", f"{case}/focus/"):
        lead.goto(f"{desk.url}/{path}")
        assert lead.locator("img[src=x], script:not([src]):not([type])").count() == 0
        assert not _ran(lead)
    lead.goto(f"{desk.site.url}/admin/feedback/feedback/")
    assert "<script>window.ran = 1</script>" in lead.locator("#result_list").inner_text() and not _ran(lead)


def test_typed_text_is_shown_as_text(desk: Desk, open_tab: OpenTab) -> None:
    """In a rejected form, in the visitor's statement, and in a reviewer's note."""
    visitor = open_tab("", expects="status of 400")
    visitor.goto(desk.answers[0]["links"]["page"])
    visitor.get_by_text("No", exact=True).click()
    visitor.get_by_role("combobox").fill(desk.answers[0]["prediction"])
    visitor.get_by_label("Anything to add?").fill("</textarea><script>window.ran = 1</script>")
    visitor.get_by_role("button", name="Send", exact=True).click()
    visitor.get_by_text("If that is right, choose “Yes”.").wait_for()
    assert visitor.get_by_label("Anything to add?").input_value() == "</textarea><script>window.ran = 1</script>"
    visitor.get_by_role("combobox").fill("<i>\u202eelse</i>")
    visitor.get_by_text("Your words will be kept.").wait_for()
    visitor.get_by_role("button", name="Send", exact=True).click()
    visitor.get_by_text("You said: no, it is “<i>").wait_for()
    assert not _ran(visitor)

    case = desk.case_of(0)
    reviewer = open_tab("lead")
    reviewer.goto(f"{desk.url}/{case}/focus/")
    reviewer.get_by_text("Flag…").click()
    reviewer.get_by_label("What should somebody look at?").fill("<script>window.ran = 1</script>")
    reviewer.get_by_role("button", name="Flag", exact=True).click()
    eventually(lambda: desk.state(case) == "flagged", "the flag")
    reviewer.goto(f"{desk.url}/{case}/focus/")
    assert "<script>window.ran = 1</script>" in reviewer.get_by_role("list", name="History").inner_text()
    assert not _ran(reviewer)


def test_rejects_too_long_comment_and_keeps_it(desk: Desk, open_tab: OpenTab) -> None:
    """On the page, where it can be shortened, and by the API."""
    comment = "It is a cup. " * 770
    visitor = open_tab("", expects="status of 400")
    visitor.goto(desk.answers[0]["links"]["page"])
    visitor.get_by_text("No", exact=True).click()
    field = visitor.get_by_label("Anything to add?")
    field.evaluate("field => field.removeAttribute('maxlength')")  # a client may ignore it
    field.fill(comment)
    visitor.get_by_role("button", name="Send", exact=True).click()
    visitor.get_by_role("alert").get_by_text("at most 2000 characters").wait_for()
    assert field.input_value() == comment
    statement = {"prediction": desk.answers[0]["id"], "verdict": "wrong", "comment": comment}
    response = requests.post(f"{desk.site.url}/api/feedback", json=statement, timeout=60)
    assert response.status_code == 400 and "2000 characters" in response.text
    assert desk.rows("SELECT id FROM feedback_feedback") == []


def test_long_comment_can_be_unfolded(desk: Desk, open_tab: OpenTab) -> None:
    case = desk.say(0, "cup", comment="word " * 399 + "end")
    tab = open_tab("ada")
    tab.goto(f"{desk.url}/{case}/focus/")
    whole = tab.locator(".comments details > .words")
    assert not whole.is_visible()
    tab.locator(".comments summary").click()
    assert whole.inner_text().endswith("end")


@pytest.mark.parametrize("scripts", [True, False])
def test_proposes_what_is_no_label(desk: Desk, open_tab: OpenTab, scripts: bool) -> None:
    case, after, _last = desk.open_cases(3)
    tab = open_tab("ada", java_script_enabled=scripts, expects="status of 400")
    tab.goto(f"{desk.url}/{case}/focus/")
    field = tab.get_by_label("Another label")
    field.evaluate("field => field.removeAttribute('maxlength')")  # a client may ignore it
    field.fill("x" * 201)
    tab.get_by_role("button", name="It is this").click()
    tab.get_by_role("alert").get_by_text("is longer than any label").wait_for()
    assert field.input_value() == "x" * 201 and desk.decisions() == []
    field.fill("<b>no such</b>")
    tab.get_by_role("button", name="It is this").click()
    tab.locator(f'#review[data-case="{after}"]').wait_for()
    assert "“<b>no such</b>” is proposed" in tab.get_by_role("status").first.inner_text()
    tab.get_by_label("Another label").fill("tabby")
    tab.get_by_role("button", name="It is this").click()
    eventually(lambda: desk.decisions() == [("no-label", "", "ada"), ("corrected", "tabby", "ada")], "the decisions")


@pytest.mark.parametrize("scripts", [True, False])
def test_missing_picture_is_reported(desk: Desk, open_tab: OpenTab, scripts: bool) -> None:
    """The page says so, the lists still work, and the case can be marked as unusable."""
    case, after = desk.open_cases(2)
    file = desk.picture_file(0)
    kept = file.rename(file.with_suffix(".kept"))
    try:
        tab = open_tab("ada", java_script_enabled=scripts, expects="status of 404")
        for path in ("", "grid/", f"{case}/focus/"):
            assert tab.goto(f"{desk.url}/{path}").status == 200
        assert tab.get_by_text("The picture is no longer stored.").is_visible()
        tab.get_by_role("button", name="Unusable").click()
        tab.locator(f'#review[data-case="{after}"]').wait_for()
        eventually(lambda: desk.decisions(case) == [("unusable", "", "ada")], "the decision")
    finally:
        kept.rename(file)


def test_picture_deleted_after_the_page_was_made_is_reported(desk: Desk, open_tab: OpenTab) -> None:
    """The page reports it, and the keys still work."""
    cases = desk.open_cases(2)
    tab = open_tab("ada", expects="status of 404")
    tab.route(f"**/{desk.answers[0]['id']}/picture", lambda route: route.fulfill(status=404))
    start_reviewing(tab, desk)
    tab.get_by_text("The picture is no longer stored.").wait_for()
    wait_for_case(tab, cases[0])
    tab.keyboard.press("x")
    wait_for_case(tab, cases[1])
    assert not tab.get_by_text("The picture is no longer stored.").is_visible()
    eventually(lambda: desk.decisions() == [("unusable", "", "ada")], "the decision")
