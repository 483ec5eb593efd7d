"""Fixtures of the end-to-end tests: a running site and a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.browsing import chromium
from devtools.running import RunningSite, folder_with_model
from worker.inference.repository import Repository


@pytest.fixture
def data_dir(tmp_path: Path, models: Repository) -> Path:
    return folder_with_model(tmp_path, models.root)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: Repository) -> Iterator[RunningSite]:
    """Runs one site for all tests of a file."""
    with RunningSite(folder_with_model(tmp_path_factory.mktemp("site"), models.root)) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Runs one browser for all tests of a file."""
    with chromium() as running:
        yield running
