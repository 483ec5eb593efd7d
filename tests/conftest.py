"""Fixtures of the end-to-end tests: a running site, a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningSite, folder_with_model
from worker.repository import Repository

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


@pytest.fixture
def data_dir(tmp_path: Path, models: Repository) -> Path:
    return folder_with_model(tmp_path, models.root)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: Repository) -> Iterator[RunningSite]:
    """One running site for all tests of a file."""
    with RunningSite(folder_with_model(tmp_path_factory.mktemp("site"), models.root)) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Headless Chromium, or a skip that says what is missing."""
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium; on Debian and Ubuntu: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()
