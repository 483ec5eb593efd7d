"""The pages in a real browser, with and without JavaScript, and without errors on the console."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from devtools.running import RunningSite, eventually
from tests.review.axe import Findings

pytestmark = pytest.mark.browser


@pytest.fixture
def photo(tmp_path: Path, coffee: bytes) -> Path:
    path = tmp_path / "coffee.jpg"
    path.write_bytes(coffee)
    return path


WIDTH = "image => image.naturalWidth"  # 0 until it is loaded

# Chromium logs this for every page with an error status, such as the page that rejects a picture.
REFUSED = re.compile("the server responded with a status of (400|415)")


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def page(request: pytest.FixtureRequest, browser) -> Iterator[Any]:
    """A new tab. An error on its console (a violated policy, a missing file) fails the test."""
    context = browser.new_context(java_script_enabled=request.param)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()
    assert [complaint for complaint in complaints if not REFUSED.search(complaint)] == []


def classify(page: Any, picture: Path) -> None:
    """Chooses a picture. Without JavaScript it takes a second action to send it."""
    page.locator("#file").set_input_files(picture)
    button = page.get_by_role("button", name="Classify")
    if button.is_visible():
        button.click()


def test_classifies_a_picture_and_takes_feedback(site: RunningSite, page, photo: Path) -> None:
    page.goto(site.url)
    classify(page, photo)
    page.get_by_role("heading", name="espresso").wait_for()
    assert re.search(r"9\d\.\d% sure", page.inner_text("main"))
    assert page.get_by_role("row").count() == 6  # a head and five labels
    picture = page.get_by_alt_text("The picture that was sent: coffee.jpg")
    eventually(lambda: picture.evaluate(WIDTH) == 600, "the picture")

    page.get_by_text("No", exact=True).click()
    page.get_by_label("What is it really?").fill("Espresso")
    page.get_by_label("Anything to add?").fill("“cup”, I'd say\n<script>alert(1)</script>")
    page.get_by_role("button", name="Send", exact=True).click()
    assert "The model said “espresso” too." in page.get_by_role("alert").inner_text()
    page.get_by_label("What is it really?").fill("cup")
    page.get_by_label("Anything to add?").fill("“cup”, I'd say\n<script>alert(1)</script>")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Thank you. A reviewer will look at it.").wait_for()
    assert "<script>alert(1)</script>" in (site.data_dir / "feedback").read_text()

    page.get_by_text("You said: no, it is “cup”.").wait_for()
    assert page.get_by_role("heading", name="cup").is_visible(), "the headline is the visitor's correction"
    page.get_by_text("Change").click()
    assert page.get_by_label("What is it really?").input_value() == "cup"
    page.get_by_label("Not sure").check()
    assert not page.get_by_label("What is it really?").is_visible()
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("You said: not sure.").wait_for()


def test_one_press_confirms_an_answer(site: RunningSite, page, coffee: bytes) -> None:
    page.goto(site.predict(coffee).json()["links"]["page"])
    page.get_by_role("button", name="Yes").click()
    page.get_by_text("You said: yes, the answer is right.").wait_for()


def test_rejects_a_file_that_is_no_picture(site: RunningSite, page, tmp_path: Path) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("no picture at all")
    page.goto(site.url)
    classify(page, text)
    page.get_by_text("not a picture of a known format").last.wait_for()  # screen readers are told as well


@pytest.fixture
def tab(browser) -> Iterator[Any]:
    """A new tab with JavaScript."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_loads_the_result_page_once(site: RunningSite, tab, photo: Path) -> None:
    tab.goto(site.url)
    loaded: list[str] = []
    tab.on("request", lambda request: loaded.append(request.url))
    classify(tab, photo)
    tab.get_by_role("heading", name="espresso").wait_for()
    assert loaded.count(tab.url) == 1


def test_waits_and_retries_if_the_site_is_busy(site: RunningSite, tab, photo: Path) -> None:
    busy = [True]

    def answer(route: Any) -> None:
        if route.request.method == "POST" and busy:
            busy.clear()
            route.fulfill(status=503, headers={"Retry-After": "1"}, body="busy")
        else:
            route.continue_()

    tab.route(f"{site.url}/", answer)
    tab.goto(site.url)
    classify(tab, photo)
    tab.get_by_text("We're busy. Trying again in 1 s…").wait_for()
    tab.get_by_role("heading", name="espresso").wait_for()


def test_a_waiting_page_outlasts_a_lost_network_and_an_error(
    site: RunningSite, tab, chelsea: bytes, tmp_path: Path
) -> None:
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(chelsea + b"a picture without an answer")
    [worker] = map(psutil.Process, site.pids("rqworker predictions"))
    worker.suspend()
    try:
        tab.goto(site.url)
        classify(tab, picture)
        tab.get_by_role("heading", name="Waiting").wait_for()
        address = tab.url
        unreachable = tab.get_by_text("The site can't be reached at the moment.")

        tab.context.set_offline(True)
        unreachable.wait_for()
        tab.context.set_offline(False)
        unreachable.wait_for(state="detached")
        tab.route(address, lambda route: route.fulfill(status=502, body="Bad Gateway"))
        unreachable.wait_for()
        tab.unroute(address)
    finally:
        worker.resume()
    tab.get_by_role("heading", name="Is this right?").wait_for()


def test_no_moves_the_focus_to_its_field(site: RunningSite, tab, coffee: bytes) -> None:
    tab.goto(site.predict(coffee).json()["links"]["page"])
    tab.get_by_text("No", exact=True).click()
    eventually(lambda: tab.evaluate("document.activeElement.name") == "expected", "the focus")
    verdicts = [tab.get_by_text(text, exact=True) for text in ("Yes", "No", "Not sure")]
    assert len({verdict.bounding_box()["y"] for verdict in verdicts}) == 1, "the verdicts stay in one row"
    tab.keyboard.type("cup")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")
    tab.get_by_text("You said: no, it is “cup”.").wait_for()


def test_admin_shows_the_feedback(site: RunningSite, page, photo: Path) -> None:
    test_classifies_a_picture_and_takes_feedback(site, page, photo)
    name, password = site.login
    page.goto(f"{site.url}/admin/feedback/feedback/")
    page.get_by_label("Username:").fill(name)
    page.get_by_label("Password:").fill(password)
    page.get_by_role("button", name="Log in").click()
    row = page.locator("#result_list tbody tr").first
    assert "espresso" in row.inner_text() and "Not sure" in row.inner_text()
    thumbnail = row.locator("img.thumbnail")
    thumbnail.scroll_into_view_if_needed()
    width = eventually(lambda: thumbnail.evaluate(WIDTH), "the thumbnail")
    assert width <= 320


def test_api_page_loads_under_the_policy(site: RunningSite, browser) -> None:
    tab = browser.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(f"{site.url}/api/docs")
    tab.get_by_text("Classify one picture").wait_for()
    tab.close()
    assert complaints == []


def test_axe_finds_nothing_in_our_part_of_the_api_page(site: RunningSite, browser) -> None:
    tab = browser.new_page()
    tab.goto(f"{site.url}/api/docs")
    tab.get_by_text("Classify one picture").wait_for()
    findings = Findings("light")
    # Swagger UI nests its copy button in another button, skips a level of headings, and has no landmark for its title.
    swagger_ui = ("nested-interactive", "heading-order", "region")
    findings.options |= {"rules": {name: {"enabled": False} for name in swagger_ui}}
    findings.check(tab, "API")
    tab.close()
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_no_page_is_wider_than_its_window(site: RunningSite, browser, width: int, coffee: bytes) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 800})
    address = site.predict(coffee).json()["links"]["page"]
    for url in (site.url, address, f"{site.url}/feedback", f"{site.url}/nothing-here"):
        tab.goto(url)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, url
    tab.close()
