from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from worker.inference.repository import Repository


@pytest.fixture
def repository(settings: Settings, tmp_path: Path) -> Repository:
    """An empty models folder of the site."""
    settings.MODELS_DIR = tmp_path / "models"
    return Repository(settings.MODELS_DIR)
