"""Fixtures of the tests of uploading: a running site with a short queue, and tabs at its upload page."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import psutil
import pytest
import requests

from devtools.browsing import chromium
from devtools.running import RunningSite, eventually, folder_with_model
from worker.inference.repository import Repository

QUEUE_LENGTH = 40  # fewer than some tests upload

OpenTab = Callable[[], Any]


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, models: Repository) -> Iterator[RunningSite]:
    """Runs one site for all tests of this folder."""
    folder = folder_with_model(tmp_path_factory.mktemp("site"), models.root)
    limits = {"QUEUE_MAX_LENGTH": str(QUEUE_LENGTH), "QUEUE_MAX_WAITING_PER_CLIENT": "0"}
    with RunningSite(folder, **limits) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser with nothing stored. An error in a script or a violated policy fails the test."""
    context = browser.new_context()
    complaints: list[str] = []

    def listen(tab: Any) -> None:
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))

    context.on("page", listen)
    yield context
    context.close()
    # Chromium logs each request that fails, as these tests want some to do.
    assert [complaint for complaint in complaints if not complaint.startswith("Failed to load resource")] == []


@pytest.fixture
def open_tab(context: Any, site: RunningSite) -> OpenTab:
    """Opens tabs at the upload page, ready to work without the network."""

    def open_tab() -> Any:
        tab = context.new_page()
        tab.goto(site.url)
        make_ready(tab)
        return tab

    return open_tab


@pytest.fixture
def tab(open_tab: OpenTab) -> Any:
    return open_tab()


def make_ready(tab: Any) -> None:
    """Moves the pointer, with which the page loads its other modules, and waits until they are loaded."""
    tab.hover("h1")
    eventually(lambda: tab.evaluate("sessionStorage.getItem('uploads-list')"), "the page is ready")


def choose(tab: Any, *pictures: Path) -> None:
    tab.get_by_label("Choose pictures").set_input_files(pictures)


def wait_until_restored(tab: Any, empty: Path) -> None:
    """Adds an empty file, which is not sent: its card comes after those of pictures that earlier pages have kept."""
    empty.write_bytes(b"")
    choose(tab, empty)
    card(tab, empty).get_by_text("This file is empty.").wait_for()


def cards(tab: Any) -> Any:
    """The cards of the uploads, without the examples, which are a list too."""
    return tab.locator(".uploads").get_by_role("listitem")


def card(tab: Any, picture: Path) -> Any:
    return cards(tab).filter(has_text=picture.name)


def wait_for_summary(tab: Any, text: str) -> None:
    tab.locator(".uploads-summary").get_by_text(text, exact=True).wait_for(timeout=300_000)


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[int], list[Path]]:
    """Returns a function that makes small pictures, which the site has never seen."""

    def pictures(number: int) -> list[Path]:
        made = [tmp_path / f"picture-{index:03}.png" for index in range(1, number + 1)]
        for path in made:
            path.write_bytes(_new_picture())
        return made

    return pictures


def _new_picture() -> bytes:
    content = BytesIO()
    PIL.Image.frombytes("RGB", (32, 24), os.urandom(32 * 24 * 3)).save(content, "PNG")
    return content.getvalue()


def _is_worked_off(site: RunningSite) -> bool:
    """Sends a picture and waits for its answer. All that were sent before are answered then, too."""
    files = {"file": ("last.png", _new_picture())}
    return requests.post(f"{site.url}/api/predict", files=files, timeout=60).status_code == 200


@pytest.fixture
def suspended_worker(site: RunningSite) -> Iterator[Callable[[], None]]:
    """Suspends the worker once it has answered the pictures of earlier tests. The value resumes it."""
    eventually(lambda: _is_worked_off(site), "the answers to earlier pictures")
    [worker] = map(psutil.Process, site.pids("rqworker predictions"))
    worker.suspend()
    yield worker.resume
    worker.resume()


class Posts:
    """The requests with pictures of a browser, which a test may hold, lose or answer itself. `keys`: their keys."""

    def __init__(self, context: Any, site: RunningSite) -> None:
        self.keys: list[str] = []
        self.accepted: list[str] = []  # ids of predictions, of the responses that `received` has seen
        self._address = f"{site.url}/"
        self._context = context

    @contextmanager
    def sent(self, handle: Callable[[Any], None]) -> Iterator[None]:
        """Gives each request to a function, as Playwright's route, before the site has it."""

        def handle_post(route: Any) -> None:
            if route.request.method == "POST":
                self.keys.append(route.request.headers["idempotency-key"])
                handle(route)
            else:
                route.continue_()

        self._context.route(self._address, handle_post)
        yield
        self._context.unroute(self._address, handle_post)

    @contextmanager
    def received(self, tab: Any, handle: Callable[[Received], None]) -> Iterator[None]:
        """Gives each response to a function before the page has it. Playwright's routes cannot resend chosen files."""
        devtools = self._context.new_cdp_session(tab)

        def handle_response(paused: dict[str, Any]) -> None:
            received = Received(devtools, paused)
            if received.is_accepted:
                self.accepted.append(received.prediction_id)
            handle(received)

        devtools.on("Fetch.requestPaused", handle_response)
        devtools.send("Fetch.enable", {"patterns": [{"urlPattern": self._address, "requestStage": "Response"}]})
        yield
        devtools.send("Fetch.disable")
        devtools.detach()


class Received:
    """A response that the browser has received, and the page has not."""

    def __init__(self, devtools: Any, paused: dict[str, Any]) -> None:
        self._devtools = devtools
        self._id = {"requestId": paused["requestId"]}
        self.is_accepted = paused["request"]["method"] == "POST" and paused.get("responseStatusCode") == 201

    @property
    def prediction_id(self) -> str:
        answer = self._devtools.send("Fetch.getResponseBody", self._id)
        body = b64decode(answer["body"]) if answer["base64Encoded"] else answer["body"]
        return str(json.loads(body)["id"])

    def deliver(self) -> None:
        self._devtools.send("Fetch.continueRequest", self._id)

    def lose(self) -> None:
        self._devtools.send("Fetch.failRequest", {**self._id, "errorReason": "ConnectionReset"})


@pytest.fixture
def posts(context: Any, site: RunningSite) -> Posts:
    return Posts(context, site)


def hold(route: Any) -> None:
    """Leaves a request without an answer."""


def pass_on(route: Any) -> None:
    route.continue_()


def lose(route: Any) -> None:
    route.abort()
