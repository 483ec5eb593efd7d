"""The browser of tests and screenshots: the installed Chromium, without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str:
    """Returns the path of the installed Chromium. Skips the test where there is none."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium; on Debian and Ubuntu: apt install chromium")
    return path


@contextmanager
def chromium() -> Iterator[Any]:
    """Runs headless Chromium. Skips the test where it is not installed."""
    path = chromium_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def another_chromium(browser: Any, *arguments: str) -> Iterator[Any]:
    """Runs a second Chromium beside `browser`, with further command-line arguments."""
    another = browser.browser_type.launch(executable_path=chromium_path(), args=[*CHROMIUM_ARGUMENTS, *arguments])
    yield another
    another.close()
