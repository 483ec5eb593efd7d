"""The result page in a real browser: how many actions each task takes, and what happens without a reload."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psutil
import pytest

from devtools.running import RunningSite, eventually
from predictions.tests.pictures import corrupt, encoded, noise
from tests.review.axe import Findings

pytestmark = pytest.mark.browser

OpenTab = Callable[..., Any]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

# Chromium logs this for every page with an error status.
EXPECTED = re.compile("the server responded with a status of (400|404|410)|ERR_INTERNET_DISCONNECTED")


@pytest.fixture
def open_tab(site: RunningSite, browser: Any) -> Iterator[OpenTab]:
    """Returns a function that opens a tab of a new visitor. An error on its console fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_tab(**options: Any) -> Any:
        context = browser.new_context(base_url=site.url, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        return tab

    yield open_tab
    for context in contexts:
        context.close()
    assert [complaint for complaint in complaints if not EXPECTED.search(complaint)] == []


def _send(tab: Any, content: bytes, name: str = "photo.jpg") -> str:
    """Sends a picture as the tab's visitor. Returns the path of its result page."""
    file = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    response = tab.context.request.post("/", multipart={"file": file}, max_redirects=0)
    assert response.status == 303
    return str(response.headers["location"])


def _open_result(tab: Any, content: bytes) -> str:
    path = _send(tab, content)
    tab.goto(path)
    tab.get_by_role("heading", name="Is this right?").wait_for()
    return path


def _unanswered(photo: bytes) -> bytes:
    """The same picture in a file that no earlier answer is known of."""
    return photo + uuid4().bytes


@contextmanager
def _worker_stopped(site: RunningSite) -> Iterator[None]:
    [worker] = map(psutil.Process, site.pids("rqworker predictions"))
    worker.suspend()
    try:
        yield
    finally:
        worker.resume()


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
    _open_result(counted.tab, coffee)
    counted.click("button", "Yes")
    counted.tab.get_by_text("You said: yes, the answer is right.").wait_for()
    assert counted.actions == 1


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False}, PHONE])
def test_correcting_with_one_of_the_best_labels_takes_two_actions(
    open_tab: OpenTab, coffee: bytes, options: dict[str, Any]
) -> None:
    counted = Counted(open_tab(**options))
    _open_result(counted.tab, coffee)
    counted.click_no()
    counted.click("button", "coffee mug")
    counted.tab.get_by_text("You said: no, it is “coffee mug”.").wait_for()
    counted.tab.get_by_text("Thank you. A reviewer will look at it.").wait_for()
    assert counted.tab.get_by_role("heading", name="coffee mug").is_visible()
    assert counted.actions == 2


def test_correcting_with_any_label_takes_four_actions_and_its_letters(open_tab: OpenTab, coffee: bytes) -> None:
    counted = Counted(open_tab())
    _open_result(counted.tab, coffee)
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
    _open_result(counted.tab, coffee)
    counted.click("link", "Delete this picture")
    counted.click("button", "Delete")
    counted.tab.get_by_role("heading", name="was deleted").wait_for()
    assert counted.actions == 2


# --- The keyboard, screen readers, no JavaScript ---------------------------------------------------


@pytest.mark.parametrize("javascript", [True, False])
def test_everything_can_be_said_by_keyboard(open_tab: OpenTab, coffee: bytes, javascript: bool) -> None:
    tab = open_tab(java_script_enabled=javascript)
    _open_result(tab, coffee)
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
    tab.get_by_role("radio", name="No", exact=True).focus()
    tab.keyboard.press("ArrowLeft")  # to "Yes"
    tab.get_by_role("button", name="Send").focus()
    tab.keyboard.press("Enter")
    tab.get_by_text("You said: yes, the answer is right.").wait_for()


def test_the_page_tells_what_the_visitor_has_said(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    _open_result(tab, coffee)
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
    _open_result(tab, coffee)
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


def test_a_comment_goes_with_a_clicked_label(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    _open_result(tab, coffee)
    tab.get_by_text("No", exact=True).click()
    tab.get_by_label("Anything to add?").fill("a small one")
    tab.get_by_role("button", name="cup", exact=True).click()
    tab.get_by_text("You said: no, it is “cup”.").wait_for()
    assert tab.locator("blockquote").inner_text() == "a small one"


def test_the_keyboard_of_a_phone_does_not_cover_the_labels(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(**PHONE)
    _open_result(tab, coffee)
    tab.get_by_text("No", exact=True).tap()
    tab.locator(".combobox").wait_for()
    assert tab.evaluate("document.activeElement.name") != "expected"


# --- The link ---------------------------------------------------------------------------------------


def test_copies_its_link(site: RunningSite, open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(permissions=["clipboard-read", "clipboard-write"])
    path = _open_result(tab, coffee)
    tab.get_by_role("button", name="Copy link").click()
    tab.get_by_role("button", name="Copied").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()") == site.url + path
    tab.get_by_role("status").get_by_text("Copied").wait_for()


def test_offers_no_copy_without_javascript(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(java_script_enabled=False)
    _open_result(tab, coffee)
    assert tab.get_by_role("link", name="This prediction as JSON").is_visible()
    assert not tab.get_by_text("Copy link").is_visible()


# --- Without a reload -------------------------------------------------------------------------------


def test_the_answer_appears_without_a_reload(site: RunningSite, open_tab: OpenTab, chelsea: bytes) -> None:
    tab = open_tab(viewport={"width": 390, "height": 400})
    with _worker_stopped(site):
        tab.goto(_send(tab, _unanswered(chelsea)))
        tab.get_by_role("heading", name="Waiting").wait_for()
        tab.evaluate("window.isSamePage = true")
        picture = tab.locator(".picture img")
        picture.evaluate("image => (image.isSame = true)")
        tab.evaluate("scrollTo(0, 60)")
    tab.get_by_role("heading", name="Is this right?").wait_for()
    assert tab.evaluate("isSamePage") and picture.evaluate("image => image.isSame")
    assert tab.evaluate("scrollY") == 60
    assert tab.evaluate("document.activeElement === document.body"), "the focus was nowhere, and stays there"
    answer = tab.get_by_role("heading", level=1).inner_text()
    assert tab.title().startswith(answer)
    tab.get_by_role("status").get_by_text(f"{answer}. ").wait_for()
    tab.get_by_text("No", exact=True).click()
    tab.locator(".combobox").wait_for()  # the page has been started


def test_the_focus_goes_to_the_answer_if_its_element_is_replaced(
    site: RunningSite, open_tab: OpenTab, chelsea: bytes
) -> None:
    tab = open_tab()
    with _worker_stopped(site):
        tab.goto(_send(tab, _unanswered(chelsea)))
        tab.get_by_role("link", name="Upload another picture").focus()
    tab.get_by_role("heading", name="Is this right?").wait_for()
    assert tab.evaluate("document.activeElement.id") == "answer"


def test_a_waiting_prediction_can_be_cancelled(site: RunningSite, open_tab: OpenTab, chelsea: bytes) -> None:
    tab = open_tab()
    with _worker_stopped(site):
        tab.goto(_send(tab, _unanswered(chelsea)))
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_role("heading", name="Cancelled").wait_for()
    tab.get_by_role("button", name="Try again").click()
    tab.get_by_role("heading", name="Is this right?").wait_for()


def test_a_result_that_is_inserted_into_another_page_works(site: RunningSite, open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    path = _send(tab, coffee)
    tab.goto("/history/")  # a page without the module
    tab.evaluate(
        """async (path) => {
            const text = await (await fetch(path)).text();
            const page = new DOMParser().parseFromString(text, "text/html");
            document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
            const { start } = await import(page.querySelector('script[src*="result"]').src);
            start(document.querySelector("main"));
            start(document.querySelector("main"));
        }""",
        path,
    )
    tab.get_by_role("button", name="Yes").click()
    tab.get_by_text("You said: yes, the answer is right.").wait_for()
    said = tab.context.request.get(path).text()
    assert said.count("You said:") == 1


@pytest.mark.parametrize("state", ["done", "waiting"])
def test_loads_little(site: RunningSite, open_tab: OpenTab, coffee: bytes, state: str) -> None:
    """The page, two style sheets and three modules, besides pictures and the icon."""
    tab = open_tab()
    loaded: list[str] = []
    counted = {"document", "stylesheet", "script", "fetch"}
    tab.on("request", lambda request: loaded.append(request.url) if request.resource_type in counted else None)
    if state == "done":
        _open_result(tab, coffee)
        tab.wait_for_load_state("networkidle")
    else:
        with _worker_stopped(site):
            tab.goto(_send(tab, _unanswered(coffee)))
            tab.locator("#waiting").wait_for()
            tab.wait_for_load_state("networkidle")
    assert len(set(loaded)) <= 6, loaded


# --- How it looks -----------------------------------------------------------------------------------


def test_the_picture_has_its_space_before_it_is_loaded(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    path = _send(tab, coffee)
    held: list[Any] = []
    tab.route("**/picture", lambda route: held.append(route))
    tab.goto(path, wait_until="commit")
    image = tab.locator(".picture img")
    image.wait_for()
    eventually(lambda: held, "the request for the picture")
    before = image.bounding_box()
    held[0].continue_()
    eventually(lambda: image.evaluate("image => image.complete && image.naturalWidth"), "the picture")
    assert image.bounding_box() == before
    assert before["width"] / before["height"] == pytest.approx(600 / 400, rel=0.01)


def test_prints_the_picture_and_the_answer_on_one_page(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    _open_result(tab, coffee)
    tab.emulate_media(media="print")
    assert tab.get_by_role("heading", name="espresso").is_visible() and tab.locator(".picture img").is_visible()
    assert not tab.get_by_role("button", name="Yes").is_visible()
    assert not tab.get_by_role("link", name="Upload another picture").is_visible()
    assert len(re.findall(rb"/Type\s*/Page\b", tab.pdf(format="A4"))) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(
    site: RunningSite, open_tab: OpenTab, coffee: bytes, chelsea: bytes, scheme: str
) -> None:
    tab = open_tab(color_scheme=scheme, reduced_motion="reduce")
    findings = Findings(scheme)
    with _worker_stopped(site):
        tab.goto(_send(tab, _unanswered(chelsea)))
        tab.get_by_role("heading", name="Waiting").wait_for()
        findings.check(tab, "waiting")
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_role("heading", name="Cancelled").wait_for()
        findings.check(tab, "cancelled")
    tab.goto(_send(tab, corrupt()))
    tab.get_by_role("heading", name="Failed").wait_for()
    findings.check(tab, "failed")
    tab.goto(_send(tab, encoded(noise(200, 160, seed=9), "JPEG")))
    tab.get_by_role("heading", name="Perhaps").wait_for()
    findings.check(tab, "low score")

    path = _open_result(tab, coffee)
    tab.get_by_text("Answered by").click()
    findings.check(tab, "done, with its timings")
    tab.get_by_text("No", exact=True).click()
    tab.get_by_role("combobox").press_sequentially("husk")
    tab.get_by_role("option").first.wait_for()
    findings.check(tab, "list of labels")
    tab.get_by_role("combobox").press("Escape")
    tab.get_by_role("combobox").fill("espresso")
    tab.get_by_role("button", name="Send").click()
    tab.get_by_text("If that is right, choose “Yes”.").wait_for()
    findings.check(tab, "error")
    tab.get_by_role("button", name="coffee mug").click()
    tab.get_by_text("You said: no, it is “coffee mug”.").wait_for()
    tab.get_by_text("Change").click()
    findings.check(tab, "after feedback")

    tab.goto(f"{path}delete/")
    findings.check(tab, "confirmation")
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("heading", name="was deleted").wait_for()
    findings.check(tab, "deleted")
    assert not findings, "\n".join(findings)


# --- The model's view -------------------------------------------------------------------------------


def test_toggles_between_the_picture_and_the_models_view(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    _open_result(tab, coffee)
    picture = tab.get_by_alt_text("The picture that was sent: photo.jpg")
    view = tab.get_by_alt_text("The part of the picture that the model was given")
    before = picture.bounding_box()
    toggle = tab.get_by_role("button", name="Model's view")
    toggle.click()
    view.wait_for()
    eventually(lambda: view.evaluate("image => image.naturalWidth"), "the model's view")
    assert toggle.get_attribute("aria-pressed") == "true" and not picture.is_visible()
    toggle.press("Enter")
    picture.wait_for()
    assert toggle.get_attribute("aria-pressed") == "false" and not view.is_visible()
    assert picture.bounding_box() == before, "nothing moves"


def test_says_that_the_models_view_is_gone(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    tab.route("**/model-view", lambda route: route.fulfill(status=404))
    _open_result(tab, coffee)
    tab.get_by_role("button", name="Model's view").click()
    toggle = tab.get_by_role("button", name="The model's view isn't available")
    toggle.wait_for()
    assert toggle.is_disabled()
    assert tab.get_by_alt_text("The picture that was sent: photo.jpg").is_visible()


def test_the_models_view_is_a_link_without_javascript(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(java_script_enabled=False)
    path = _open_result(tab, coffee)
    assert tab.get_by_role("link", name="Model's view").get_attribute("href") == f"{path}model-view"
