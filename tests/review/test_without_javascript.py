"""The desk in a browser without JavaScript: every button belongs to a form."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.review.conftest import OpenTab
from tests.review.desk import Desk, case_on

pytestmark = pytest.mark.browser


@pytest.fixture
def cases(desk: Desk) -> list[int]:
    return desk.open_cases(4, "teapot")


@pytest.fixture
def tab(open_tab: OpenTab) -> Any:
    return open_tab(java_script_enabled=False, expects="status of 4(00|09)")


def _click(tab: Any, name: str | re.Pattern[str]) -> None:
    tab.get_by_role("button", name=name).click()


def _said(tab: Any) -> str:
    return str(tab.get_by_role("status").first.inner_text())


def test_decides_skips_flags_and_undoes(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.goto(f"{desk.url}/")
    tab.get_by_role("button", name="Next for me").click()
    assert case_on(tab) == cases[0]
    _click(tab, "Accept “teapot”")
    assert (case_on(tab), _said(tab)) == (cases[1], f"Case {cases[0]}: corrected to “teapot”.")
    _click(tab, "Skip")
    assert (case_on(tab), _said(tab)) == (cases[2], f"Case {cases[1]}: skipped. You'll see it again at the end.")
    tab.get_by_text("Flag…").click()
    tab.get_by_label("What should somebody look at?").fill("Two things.\nWhich one?")
    _click(tab, "Flag")
    assert (case_on(tab), _said(tab)) == (cases[3], f"Case {cases[2]}: flagged.")
    _click(tab, "Undo")
    assert (case_on(tab), _said(tab)) == (cases[2], f"Case {cases[2]}: undone (flagged).")
    assert "Two things.\nWhich one?" in tab.get_by_role("list", name="History").inner_text()
    _click(tab, re.compile(f"^{desk.labels(2)[1].replace('_', ' ')} "))
    assert case_on(tab) == cases[3]
    _click(tab, "Unusable")
    assert case_on(tab) == cases[1], "the skipped case comes last"
    _click(tab, "The model was right")
    assert tab.get_by_role("heading", name="Nothing left to review").is_visible()
    kinds = [kind for kind, _label, _reviewer in desk.decisions()]
    assert kinds == ["corrected", "flagged", "undo", "corrected", "unusable", "right"]


def test_types_another_label(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.goto(f"{desk.url}/{cases[0]}/focus/")
    field = tab.get_by_label("Another label")
    field.evaluate("field => field.removeAttribute('maxlength')")  # a client may ignore it
    field.fill("x" * 201)
    _click(tab, "It is this")
    assert tab.get_by_role("alert").get_by_text("is longer than any label").is_visible()
    assert field.input_value() == "x" * 201 and field.get_attribute("aria-invalid") == "true"
    field.fill("Eskimo dog")
    _click(tab, "It is this")
    assert case_on(tab) == cases[1]
    field.fill("no such thing")
    _click(tab, "It is this")
    assert case_on(tab) == cases[2] and tab.get_by_text("“no such thing” is proposed").is_visible()
    assert desk.decisions() == [("corrected", "Eskimo_dog", "ada"), ("no-label", "", "ada")]


def test_rejects_case_that_somebody_else_decided(desk: Desk, tab: Any, open_tab: OpenTab, cases: list[int]) -> None:
    tab.goto(f"{desk.url}/{cases[0]}/focus/")
    tab.get_by_text("Flag…").click()
    tab.get_by_label("What should somebody look at?").fill("a long thought")
    desk.let_claims_expire()
    grace = open_tab("grace", java_script_enabled=False)
    grace.goto(f"{desk.url}/{cases[0]}/focus/")
    _click(grace, "Unusable")
    _click(tab, "Flag")
    alert = tab.locator(".review-alert").inner_text()
    assert "Already decided by grace (Unusable). Your verdict wasn't saved; theirs stands." in alert
    assert "a long thought" in alert, "the typed note is not lost"
    assert desk.decisions(cases[0]) == [("unusable", "", "grace")]
    tab.get_by_role("button", name="Next for me").click()
    assert case_on(tab) == cases[2], "grace has claimed the one in between"


def test_search_filter_and_bulk_action(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.goto(f"{desk.url}/")
    tab.locator("#searchbar").fill("teapot")
    tab.get_by_role("button", name="Search").click()
    assert tab.locator("#result_list tbody tr").count() == 4
    tab.get_by_role("textbox", name="The model said").fill(desk.labels(0)[0])
    tab.get_by_role("search", name="The model said").get_by_role("button").click()
    same = [case for photo, case in enumerate(cases) if desk.labels(photo)[0] == desk.labels(0)[0]]
    assert tab.locator("#result_list tbody tr").count() == len(same)
    tab.get_by_role("link", name="(remove this filter)").first.click()
    for case in cases[1:3]:
        tab.get_by_label(f"Select case {case}", exact=True).check()
    tab.get_by_label("Action:").select_option(label="Mark as unusable…")
    tab.get_by_role("button", name="Go").click()
    assert tab.get_by_text("→ Unusable").count() == 2 and desk.decisions() == []
    _click(tab, "Decide 2 cases")
    assert tab.get_by_text("2 cases decided.").is_visible()
    assert [desk.state(case) for case in cases] == ["open", "decided", "decided", "open"]
    _click(tab, "Undo")
    assert tab.get_by_text("Undone: 2 cases open again.").is_visible()
    assert {desk.state(case) for case in cases} == {"open"}


def test_grid_decides_and_undoes(desk: Desk, tab: Any, cases: list[int]) -> None:
    tab.goto(f"{desk.url}/grid/")
    tab.get_by_alt_text(f"Picture of case {cases[0]}", exact=True).click()
    tab.get_by_alt_text(f"Picture of case {cases[3]}", exact=True).click()
    tab.get_by_label("It is…").check()
    tab.get_by_label("The correct label").fill("tabby")
    _click(tab, "Preview")
    assert tab.get_by_text("→ Corrected: tabby").count() == 2
    _click(tab, "Decide 2 cases")
    assert desk.decisions() == [("corrected", "tabby", "ada")] * 2
    _click(tab, "Undo")
    assert tab.locator(".case-tile").count() == 4
