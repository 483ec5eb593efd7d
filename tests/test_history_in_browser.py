"""The history in real browsers: its page, deleting, and the private link from one browser to another."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import PIL.Image
import pytest
import requests

from devtools.running import RunningSite, eventually
from feedback.history.views import DELETED_AT_ONCE
from predictions.examples import EXAMPLES
from predictions.visitors import COOKIE
from tests.review.axe import Findings

pytestmark = pytest.mark.browser

# Chromium logs each response with an error status. One test makes the site unavailable.
EXPECTED = re.compile(r"status of 503 .*/history/delete/$")

OVERFLOWS = "document.documentElement.scrollWidth > innerWidth"

# Links within a sentence are exempt from the least size of targets (WCAG 2.2, 2.5.8); these pages have none in `main`.
SMALL_TARGETS = """[...document.querySelectorAll("main :is(a, button, summary, input:not([type=hidden]))")]
  .filter((target) => target.checkVisibility() && target.getBoundingClientRect().height < 43.9)
  .map((target) => target.outerHTML.slice(0, 100))"""

OpenBrowser = Callable[..., Any]


@pytest.fixture
def open_browser(site: RunningSite, browser: Any) -> Iterator[OpenBrowser]:
    """Returns a function that opens a tab of a browser without cookies. An error on its console fails the test."""
    contexts, complaints = [], list[str]()

    def note(message: Any) -> None:
        if message.type == "error" and not EXPECTED.search(f"{message.text} {message.location['url']}"):
            complaints.append(message.text)

    def open_browser(**options: Any) -> Any:
        contexts.append(browser.new_context(base_url=site.url, **options))
        tab = contexts[-1].new_page()
        tab.on("console", note)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        return tab

    yield open_browser
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def tab(request: pytest.FixtureRequest, open_browser: OpenBrowser) -> Any:
    return open_browser(java_script_enabled=request.param)


def _square(colour: int) -> bytes:
    """Encodes a small picture. Each colour is another picture."""
    encoded = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), (colour % 256, colour // 256, 90)).save(encoded, "PNG")
    return encoded.getvalue()


def _send(tab: Any, pictures: dict[str, bytes]) -> None:
    """Sends pictures as the browser of this tab. Returns when the last one is answered."""
    if not tab.url.startswith("http"):
        tab.goto("/history/")
    site = tab.url[: tab.url.index("/", len("http://"))]
    session = requests.Session()
    session.cookies.update({cookie["name"]: cookie["value"] for cookie in tab.context.cookies()})
    for name, content in pictures.items():
        response = session.post(f"{site}/", files={"file": (name, content)}, timeout=60)
        assert response.status_code == 200, response.text
    answer = f"{site}/api/predictions/{response.url.split('/')[-2]}"
    eventually(lambda: session.get(answer, timeout=60).json()["state"] == "done", "the answer")
    cookie = {"name": COOKIE, "value": session.cookies[COOKIE], "url": site, "httpOnly": True, "sameSite": "Lax"}
    tab.context.add_cookies([cookie])


def _names(tab: Any) -> list[str]:
    return [name.inner_text() for name in tab.locator(".sent-file").all()]


def _private_link(tab: Any) -> str:
    tab.goto("/history/")
    tab.get_by_role("link", name="Other devices").click()
    tab.get_by_role("button", name="Make a private link").click()
    return str(tab.get_by_label("Private link").input_value())


def test_uploaded_picture_is_found_filtered_and_deleted(tab: Any, coffee: bytes) -> None:
    tab.goto("/history/")
    tab.get_by_text("Nothing here yet.").wait_for()
    tab.get_by_role("link", name="Upload a picture").click()
    tab.locator("#file").set_input_files({"name": "cup.jpg", "mimeType": "image/jpeg", "buffer": coffee})
    if (button := tab.get_by_role("button", name="Classify")).is_visible():  # without JavaScript
        button.click()
    tab.get_by_role("heading", name="espresso").wait_for()
    tab.get_by_role("button", name="Yes").click()
    tab.get_by_text("You said: yes").wait_for()
    _send(tab, {"square.png": _square(1)})

    tab.get_by_role("link", name="History").click()
    tab.get_by_text("You said yes.").wait_for()
    assert _names(tab) == ["square.png", "cup.jpg"]
    tab.get_by_role("searchbox").fill("ESPRESSO")
    tab.get_by_role("button", name="Search").click()
    tab.wait_for_url("**/history/?q=ESPRESSO")
    assert _names(tab) == ["cup.jpg"]
    tab.get_by_role("link", name="You said no").click()
    tab.get_by_text("None of your pictures match.").wait_for()
    tab.get_by_role("link", name="Answered").click()
    tab.get_by_text("Delete… cup.jpg").click()
    tab.get_by_role("button", name="Delete for good").click()
    tab.get_by_text("Your picture was deleted").wait_for()
    assert tab.url.endswith("/history/?show=answered&q=ESPRESSO"), "the filter stays"
    tab.get_by_role("link", name="Show all").click()
    tab.wait_for_url("**/history/")
    assert _names(tab) == ["square.png"]


def test_form_of_another_site_does_not_lose_the_history(tab: Any, site: RunningSite) -> None:
    _send(tab, {"mine.png": _square(4)})
    button = f'<button name="example" value="{EXAMPLES[0].name}">Win</button>'
    form = f'<form method="post" action="{site.url}/">{button}</form>'
    tab.route("http://other.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
    tab.goto("http://other.example/")
    tab.get_by_role("button", name="Win").click()
    tab.wait_for_url("**/predictions/*/")
    tab.goto("/history/")
    assert _names(tab) == ["mine.png"]


def test_private_link_takes_the_history_to_another_browser(open_browser: OpenBrowser, tab: Any) -> None:
    _send(tab, {"one.png": _square(2)})
    link = _private_link(tab)
    phone = open_browser()
    phone.goto(link)
    phone.get_by_role("heading", name="Show the pictures of the other device here?").wait_for()
    assert phone.url.endswith("/history/open/"), "the link stays in no list of visited pages"
    assert not phone.get_by_label("Private link").is_visible()
    phone.get_by_role("button", name="Show them here").click()
    phone.get_by_text("These are the pictures of the other device.").wait_for()
    assert _names(phone) == ["one.png"]
    _send(phone, {"two.png": _square(3)})
    tab.goto("/history/")
    assert _names(tab) == ["two.png", "one.png"]


def test_pasted_link_merges_two_histories(open_browser: OpenBrowser, tab: Any) -> None:
    desktop = open_browser()
    _send(desktop, {"desktop.png": _square(4)})
    _send(tab, {"phone.png": _square(5)})
    link = _private_link(desktop)
    tab.goto("/history/open/")
    tab.get_by_text("The two histories are merged, for good").wait_for()
    tab.get_by_label("Private link").fill(link)
    tab.get_by_role("button", name="Show them here").click()
    tab.get_by_text("Both devices now show the pictures of both.").wait_for()
    desktop.goto("/history/")
    assert _names(tab) == _names(desktop) == ["phone.png", "desktop.png"]


def test_copies_the_private_link(open_browser: OpenBrowser) -> None:
    tab = open_browser(permissions=["clipboard-read", "clipboard-write"])
    _send(tab, {"one.png": _square(6)})
    link = _private_link(tab)
    assert tab.get_by_role("img", name="QR code of the link").is_visible()
    tab.get_by_role("button", name="Copy").click()
    tab.get_by_text("Copied.").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()") == link


@pytest.mark.parametrize("with_javascript", [True, False])
def test_deletes_everything(open_browser: OpenBrowser, with_javascript: bool) -> None:
    """One press with JavaScript; without it, one for each step."""
    tab = open_browser(java_script_enabled=with_javascript)
    number = DELETED_AT_ONCE + 3
    _send(tab, {f"{colour}.png": _square(1000 + colour) for colour in range(number)})
    tab.goto("/history/")
    tab.get_by_role("link", name="Delete all").click()
    tab.get_by_role("button", name=f"Delete all {number}").click()
    if not with_javascript:
        tab.get_by_text("3 are left.").wait_for()
        tab.get_by_role("button", name="Delete the rest").click()
    tab.get_by_text(f"Your {number} pictures were deleted").wait_for()
    tab.get_by_text("Nothing here yet.").wait_for()


def test_interrupted_deletion_goes_on_later(open_browser: OpenBrowser) -> None:
    tab = open_browser()
    _send(tab, {f"{colour}.png": _square(2000 + colour) for colour in range(2)})
    tab.goto("/history/delete/")
    tab.route("**/history/delete/", lambda route: route.fulfill(status=503, body="away"), times=1)
    tab.get_by_role("button", name="Delete all 2").click()
    tab.get_by_text("The pictures that are gone stay deleted.").wait_for()
    tab.get_by_role("button", name="Delete all 2").click()
    tab.get_by_text("Your 2 pictures were deleted").wait_for()


def test_keyboard_alone_deletes_a_picture(tab: Any) -> None:
    _send(tab, {"first.png": _square(7), "second.png": _square(8)})
    tab.goto("/history/?show=answered")
    tab.get_by_role("button", name="Search").focus()
    for _ in range(2):  # the picture, "Delete…"
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.get_by_text("Your picture was deleted").wait_for()
    assert _names(tab) == ["first.png"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_state_is_accessible(open_browser: OpenBrowser, scheme: str, width: int) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "reduced_motion": "reduce"}
    tab, findings = open_browser(**options), Findings(scheme)

    def check(name: str) -> None:
        findings.check(tab, name)
        findings.extend(f"{name}: small: {target}" for target in tab.evaluate(SMALL_TARGETS))
        if tab.evaluate(OVERFLOWS):
            findings.append(f"{name}: wider than the screen")

    for name, address in {"empty": "", "nothing to delete": "delete/", "no link": "link/", "paste": "open/"}.items():
        tab.goto(f"/history/{address}")
        check(name)
    _send(tab, {"a file name without any space in it, of more than a line.png".replace(" ", "_"): _square(9)})
    addresses = {"history": "", "nothing found": "?q=x", "delete": "delete/", "link": "link/", "merge": "open/"}
    for name, address in addresses.items():
        tab.goto(f"/history/{address}")
        check(name)
    link = _private_link(tab)
    check("new link")
    tab.goto("/history/")
    tab.get_by_text("Delete…").click()
    check("delete one")
    tab = open_browser(**options)
    tab.goto(link)
    check("question")
    assert not findings, "\n".join(findings)
