"""The result page: what happens without a reload, how it looks, its link, and the model's view."""

from __future__ import annotations

import re
from typing import Any

import pytest

from devtools.running import RunningSite, eventually
from predictions.tests.pictures import corrupt, encoded, noise
from tests.result.conftest import OpenTab, open_result, send, unanswered, worker_stopped
from tests.review.axe import Findings

pytestmark = pytest.mark.browser


# --- The link ---------------------------------------------------------------------------------------


def test_copies_its_link(site: RunningSite, open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(permissions=["clipboard-read", "clipboard-write"])
    path = open_result(tab, coffee)
    tab.get_by_role("button", name="Copy link").click()
    tab.get_by_role("button", name="Copied").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()") == site.url + path
    tab.get_by_role("status").get_by_text("Copied").wait_for()


def test_offers_no_copy_without_javascript(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(java_script_enabled=False)
    open_result(tab, coffee)
    assert tab.get_by_role("link", name="This prediction as JSON").is_visible()
    assert not tab.get_by_text("Copy link").is_visible()


# --- Without a reload -------------------------------------------------------------------------------


def test_the_answer_appears_without_a_reload(site: RunningSite, open_tab: OpenTab, chelsea: bytes) -> None:
    tab = open_tab(viewport={"width": 390, "height": 400})
    with worker_stopped(site):
        tab.goto(send(tab, unanswered(chelsea)))
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
    with worker_stopped(site):
        tab.goto(send(tab, unanswered(chelsea)))
        tab.get_by_role("link", name="Upload another picture").focus()
    tab.get_by_role("heading", name="Is this right?").wait_for()
    assert tab.evaluate("document.activeElement.id") == "answer"


def test_a_waiting_prediction_can_be_cancelled(site: RunningSite, open_tab: OpenTab, chelsea: bytes) -> None:
    tab = open_tab()
    with worker_stopped(site):
        tab.goto(send(tab, unanswered(chelsea)))
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_role("heading", name="Cancelled").wait_for()
    tab.get_by_role("button", name="Try again").click()
    tab.get_by_role("heading", name="Is this right?").wait_for()


def test_a_result_that_is_inserted_into_another_page_works(site: RunningSite, open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    path = send(tab, coffee)
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


def test_a_page_that_cannot_load_its_modules_shows_the_answer(
    site: RunningSite, open_tab: OpenTab, chelsea: bytes
) -> None:
    tab = open_tab()
    tab.route(re.compile(r"/static/js/waiting\b"), lambda route: route.abort("internetdisconnected"))
    with worker_stopped(site):
        tab.goto(send(tab, unanswered(chelsea)))
        tab.get_by_role("heading", name="Waiting").wait_for()
    tab.get_by_role("heading", name="Is this right?").wait_for()


@pytest.mark.parametrize("state", ["done", "waiting"])
def test_loads_little(site: RunningSite, open_tab: OpenTab, coffee: bytes, state: str) -> None:
    """The page, two style sheets and three modules, besides pictures and the icon."""
    tab = open_tab()
    loaded: list[str] = []
    counted = {"document", "stylesheet", "script", "fetch"}
    tab.on("request", lambda request: loaded.append(request.url) if request.resource_type in counted else None)
    if state == "done":
        open_result(tab, coffee)
        tab.wait_for_load_state("networkidle")
    else:
        with worker_stopped(site):
            tab.goto(send(tab, unanswered(coffee)))
            tab.locator("#waiting").wait_for()
            tab.wait_for_load_state("networkidle")
    assert len(set(loaded)) <= 6, loaded


# --- How it looks -----------------------------------------------------------------------------------


def test_the_picture_has_its_space_before_it_is_loaded(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab()
    path = send(tab, coffee)
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
    open_result(tab, coffee)
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
    with worker_stopped(site):
        tab.goto(send(tab, unanswered(chelsea)))
        tab.get_by_role("heading", name="Waiting").wait_for()
        findings.check(tab, "waiting")
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_role("heading", name="Cancelled").wait_for()
        findings.check(tab, "cancelled")
    tab.goto(send(tab, corrupt()))
    tab.get_by_role("heading", name="Failed").wait_for()
    findings.check(tab, "failed")
    tab.goto(send(tab, encoded(noise(200, 160, seed=9), "JPEG")))
    tab.get_by_role("heading", name="Perhaps").wait_for()
    findings.check(tab, "low score")

    path = open_result(tab, coffee)
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
    open_result(tab, coffee)
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
    open_result(tab, coffee)
    tab.get_by_role("button", name="Model's view").click()
    toggle = tab.get_by_role("button", name="The model's view isn't available")
    toggle.wait_for()
    assert toggle.is_disabled()
    assert tab.get_by_alt_text("The picture that was sent: photo.jpg").is_visible()


def test_the_models_view_is_a_link_without_javascript(open_tab: OpenTab, coffee: bytes) -> None:
    tab = open_tab(java_script_enabled=False)
    path = open_result(tab, coffee)
    assert tab.get_by_role("link", name="Model's view").get_attribute("href") == f"{path}model-view"
