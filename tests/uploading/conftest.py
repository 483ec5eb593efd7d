"""Fixtures of the tests of uploading: a running site with a short queue, and tabs at its upload page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import PIL.Image
import psutil
import pytest

from devtools.browsing import chromium
from devtools.running import RunningSite, folder_with_model
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
    tab.wait_for_function("() => sessionStorage.getItem('uploads-list')")


def choose(tab: Any, *pictures: Path) -> None:
    tab.get_by_label("Choose pictures").set_input_files(pictures)


def card(tab: Any, picture: Path) -> Any:
    return tab.get_by_role("listitem").filter(has_text=picture.name)


def wait_for_summary(tab: Any, text: str) -> None:
    tab.locator(".uploads-summary").get_by_text(text, exact=True).wait_for(timeout=300_000)


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[int], list[Path]]:
    """Returns a function that makes small pictures, each of another colour."""

    def pictures(number: int) -> list[Path]:
        made = [tmp_path / f"picture-{index:03}.png" for index in range(1, number + 1)]
        for index, path in enumerate(made):
            colour = (index % 256, 255 - index % 256, hash(tmp_path) % 256)  # unlike those of other tests
            PIL.Image.new("RGB", (80, 60), colour).save(path)
        return made

    return pictures


@pytest.fixture
def suspended_worker(site: RunningSite) -> Iterator[Callable[[], None]]:
    """Suspends the worker. The value is a function that resumes it."""
    [worker] = map(psutil.Process, site.pids("rqworker predictions"))
    worker.suspend()
    yield worker.resume
    worker.resume()


class Posts:
    """The requests with pictures of a browser, of which a test may hold, lose or fail some."""

    def __init__(self, context: Any, site: RunningSite) -> None:
        self.keys: list[str] = []
        self.accepted: list[str] = []  # ids of predictions
        self.sizes: list[int] = []
        self.site = site
        self._context = context

    @contextmanager
    def answered(self, answer: Callable[[Any], None]) -> Iterator[Posts]:
        """Answers them by a function, which gets Playwright's route."""

        def handle(route: Any) -> None:
            if route.request.method != "POST":
                route.continue_()
                return
            self.keys.append(route.request.headers["idempotency-key"])
            answer(route)

        self._context.route(f"{self.site.url}/", handle)
        yield self
        self._context.unroute(f"{self.site.url}/", handle)

    def accept(self, route: Any) -> Any:
        """Lets the site accept a picture. Returns its response, which the page does not get."""
        response = route.fetch()
        if response.status == 201:
            self.accepted.append(response.json()["id"])
        return response


@pytest.fixture
def posts(context: Any, site: RunningSite) -> Posts:
    return Posts(context, site)
