"""Fixtures of the tests of the result page: tabs of new visitors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psutil
import pytest

from devtools.running import RunningSite

OpenTab = Callable[..., Any]

# Chromium logs this for every page with an error status.
EXPECTED = re.compile("the server responded with a status of (400|403|404|410)|ERR_INTERNET_DISCONNECTED")


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


def send(tab: Any, content: bytes, name: str = "photo.jpg") -> str:
    """Sends a picture as the tab's visitor. Returns the path of its result page."""
    file = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    response = tab.context.request.post("/", multipart={"file": file}, max_redirects=0)
    assert response.status == 303
    return str(response.headers["location"])


def open_result(tab: Any, content: bytes) -> str:
    path = send(tab, content)
    tab.goto(path)
    tab.get_by_role("heading", name="Is this right?").wait_for()
    return path


def unanswered(photo: bytes) -> bytes:
    """The same picture in a file that no earlier answer is known of."""
    return photo + uuid4().bytes


@contextmanager
def worker_stopped(site: RunningSite) -> Iterator[None]:
    [worker] = map(psutil.Process, site.pids("rqworker predictions"))
    worker.suspend()
    try:
        yield
    finally:
        worker.resume()
