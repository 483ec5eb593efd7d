"""Several pictures at once: their answers are confirmed and corrected in place, and downloaded as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devtools.running import RunningSite
from review.sample_photos import samples

pytestmark = pytest.mark.browser

NUMBER = 4

LIMITED = "the server responded with a status of 429"  # Chromium logs it


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = []
    for name, content in samples(NUMBER, seed=12):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    return paths


@pytest.fixture
def page(site: RunningSite, browser: Any, photos: list[Path]) -> Iterator[Any]:
    """A tab with the answers to four pictures. An error on its console fails the test."""
    context = browser.new_context(accept_downloads=True)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(site.url)
    tab.locator("#file").set_input_files(photos)
    tab.locator(".uploads-summary").get_by_text(f"{NUMBER} of {NUMBER} answered").wait_for()
    yield tab
    context.close()
    assert [complaint for complaint in complaints if LIMITED not in complaint] == []


def _card(page: Any, number: int) -> Any:
    return page.locator(".card-of-picture").nth(number)


def _focus_first(page: Any) -> None:
    _card(page, 0).get_by_role("button", name="Yes").focus()


def _said(page: Any) -> list[str]:
    """Returns what the page of each result says that the visitor said."""
    texts = []
    for link in page.locator(".answer-best a").all():
        other = page.context.new_page()
        other.goto(page.url.rstrip("/") + link.get_attribute("href"))
        texts.append(" ".join(other.locator(".said").all_inner_texts()))
        other.close()
    return texts


def test_confirms_each_picture_with_one_key(page: Any) -> None:
    _focus_first(page)
    for number in range(NUMBER):
        page.keyboard.press("y")
        _card(page, number).get_by_text("You said: yes.").wait_for()
    assert all("yes, the answer is right" in text for text in _said(page))


def test_corrects_to_one_of_the_best_labels_with_two_keys(page: Any) -> None:
    label = _card(page, 0).locator("[data-label]").nth(1).text_content()
    _focus_first(page)
    page.keyboard.press("n")
    page.keyboard.press("2")
    _card(page, 0).get_by_text(f"You said: no, it is “{label}”.").wait_for()
    assert f"no, it is “{label}”" in _said(page)[0]


def test_corrects_to_one_of_the_best_labels_with_two_clicks(page: Any) -> None:
    card = _card(page, 1)
    card.get_by_role("button", name="No", exact=True).click()
    label = card.locator("[data-label]").first
    name = label.text_content()
    label.click()
    card.get_by_text(f"You said: no, it is “{name}”.").wait_for()
    assert f"no, it is “{name}”" in _said(page)[1]


def test_typed_letters_go_into_the_field(page: Any) -> None:
    """Another label takes one key, its letters, one key to choose it and one to send it."""
    _focus_first(page)
    page.keyboard.press("n")
    page.keyboard.type("tabby")
    page.get_by_role("option", name="tabby").first.wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    _card(page, 0).get_by_text("You said: no, it is “tabby”.").wait_for()
    assert "no, it is “tabby”" in _said(page)[0]


def test_all_suggested_labels_can_be_reached(page: Any) -> None:
    """The list of labels is longer than the card, which must not cut it off."""
    card = _card(page, NUMBER - 1)
    card.get_by_role("button", name="No", exact=True).click()
    card.get_by_role("combobox").press_sequentially("dog")
    page.get_by_role("option").first.wait_for()
    page.get_by_role("listbox").evaluate("list => list.scrollIntoView({ block: 'center' })")
    is_shown = """option => {
        const { left, bottom } = option.getBoundingClientRect();
        return document.elementFromPoint(left + 5, bottom - 5)?.closest("[role=option]") === option;
    }"""
    assert page.get_by_role("option").nth(4).evaluate(is_shown)


def test_arrows_move_between_answers_and_statements_can_be_changed(page: Any) -> None:
    _focus_first(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("u")
    _card(page, 1).get_by_text("You said: not sure.").wait_for()
    _card(page, 1).get_by_role("button", name="Change").click()
    _card(page, 1).get_by_role("button", name="Yes").click()
    _card(page, 1).get_by_text("You said: yes.").wait_for()
    assert "yes, the answer is right" in _said(page)[1]


def test_a_key_that_is_held_down_answers_one_picture(page: Any) -> None:
    _focus_first(page)
    page.keyboard.down("y")
    _card(page, 0).get_by_text("You said: yes.").wait_for()
    page.keyboard.down("y")  # Playwright sends it as a repetition
    page.keyboard.up("y")
    page.keyboard.press("u")
    _card(page, 1).get_by_text("You said: not sure.").wait_for()


def test_focus_stays_where_it_was_moved_while_a_statement_is_stored(page: Any) -> None:
    held: list[Any] = []
    page.route("**/api/feedback", lambda route: held.append(route))
    with page.expect_request("**/api/feedback"):
        _card(page, 0).get_by_role("button", name="Yes").click()
    _card(page, 1).get_by_role("button", name="No", exact=True).click()
    _card(page, 1).locator(".combobox").wait_for()
    field = _card(page, 1).get_by_role("combobox")
    field.focus()
    held.pop().continue_()
    _card(page, 0).get_by_text("You said: yes.").wait_for()
    assert field.evaluate("field => field === document.activeElement")


def test_statement_stays_after_a_reload(page: Any) -> None:
    _focus_first(page)
    page.keyboard.press("y")
    _card(page, 0).get_by_text("You said: yes.").wait_for()
    page.reload()
    _card(page, 0).get_by_text("You said: yes.").wait_for()


def test_statement_that_is_not_stored_is_said_beside_the_picture(page: Any) -> None:
    page.route("**/api/feedback", lambda route: route.fulfill(status=429, json={"detail": "Too many requests."}))
    _focus_first(page)
    page.keyboard.press("u")
    _card(page, 0).get_by_role("alert").get_by_text("Not saved. Too many requests.").wait_for()
    page.unroute("**/api/feedback")
    page.keyboard.press("u")
    _card(page, 0).get_by_text("You said: not sure.").wait_for()


def test_downloads_a_table(page: Any, photos: list[Path]) -> None:
    _focus_first(page)
    page.keyboard.press("y")
    _card(page, 0).get_by_text("You said: yes.").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8-sig").splitlines()))
    assert [row["picture"] for row in rows] == [path.name for path in photos]
    assert {row["state"] for row in rows} == {"done"}
    assert rows[0]["label"] and 0 < float(rows[0]["score"]) <= 1 and rows[0]["your verdict"] == "right"
    assert "/predictions/" in rows[0]["page"] and rows[1]["your verdict"] == ""


def test_cells_that_a_spreadsheet_would_run_are_text(site: RunningSite, browser: Any, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ('=HYPERLINK("x").jpg', "plain, with a comma.jpg")]
    for path, (_name, content) in zip(paths, samples(2, seed=13), strict=True):
        path.write_bytes(content)
    page = browser.new_page()
    page.goto(site.url)
    page.locator("#file").set_input_files(paths)
    page.locator(".uploads-summary").get_by_text("2 of 2 answered").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8-sig").splitlines()))
    assert [row["picture"] for row in rows] == [f"'{paths[0].name}", paths[1].name]
    page.close()
