"""axe-core finds no violation on any page of the desk, in light and dark colours."""

from __future__ import annotations

import pytest

from tests.review.axe import Findings
from tests.review.conftest import OpenTab
from tests.review.desk import Desk, wait_for_case
from tests.review.pages import fill_desk

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violations_on_any_page(desk: Desk, open_tab: OpenTab, scheme: str) -> None:
    pages = fill_desk(desk, open_tab)
    findings = Findings(scheme)
    tab = open_tab("lead", color_scheme=scheme, reduced_motion="reduce")
    for name, path in pages.paths.items():
        tab.goto(desk.site.url + path)
        findings.check(tab, name)
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violations_in_lists_dialogs_and_alerts(desk: Desk, open_tab: OpenTab, scheme: str) -> None:
    """The list of labels, the keys, the form for a flag, alerts, the preview."""
    pages = fill_desk(desk, open_tab)
    findings = Findings(scheme)
    tab = open_tab("lead", color_scheme=scheme, reduced_motion="reduce", expects="status of 4(00|09)")
    tab.goto(desk.site.url + pages.paths["open case"])
    wait_for_case(tab, pages.open_case)
    tab.keyboard.press("?")
    findings.check(tab, "keys")
    tab.keyboard.press("Escape")
    tab.keyboard.press("f")
    findings.check(tab, "flag")
    tab.keyboard.press("Escape")
    tab.keyboard.press("z")
    tab.keyboard.press("o")
    tab.keyboard.type("husk")
    tab.get_by_role("option").first.wait_for()
    tab.keyboard.press("ArrowDown")
    findings.check(tab, "list of labels")
    tab.keyboard.press("Escape")
    field = tab.get_by_label("Another label")
    field.evaluate("field => field.removeAttribute('maxlength')")
    field.fill("x" * 201)
    tab.keyboard.press("Enter")
    tab.get_by_role("alert").get_by_text("is longer than any label").wait_for()
    findings.check(tab, "alert")

    tab.goto(desk.site.url + pages.paths["grid"])
    tab.locator("input[name=case]").first.check()
    tab.locator("input[name=case]").last.check()
    findings.check(tab, "grid with a choice")
    tab.get_by_role("button", name="Preview").click()
    findings.check(tab, "preview")
    tab.get_by_role("button", name="Decide").click()
    tab.get_by_role("button", name="Undo").wait_for()
    findings.check(tab, "grid with what was done")

    tab.goto(desk.site.url + pages.paths["result page with the question"])
    tab.get_by_text("No", exact=True).click()
    tab.get_by_role("combobox").press_sequentially("husk")
    tab.get_by_role("option").first.wait_for()
    findings.check(tab, "question with its list")
    tab.get_by_role("combobox").press("Escape")
    tab.get_by_role("combobox").fill("no such thing")
    tab.get_by_text("Your words will be kept.").wait_for()
    findings.check(tab, "text that is no label")
    tab.get_by_role("combobox").fill(tab.get_by_role("heading", level=1).inner_text().removeprefix("Perhaps "))
    tab.get_by_role("button", name="Send", exact=True).click()
    tab.get_by_text("If that is right, choose “Yes”.").wait_for()
    findings.check(tab, "question that is asked again")
    assert not findings, "\n".join(findings)
