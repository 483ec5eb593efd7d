from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture
def mirror_file(settings: Settings) -> Path:
    """The path of this test's mirror. The first statement creates the file."""
    return Path(settings.FEEDBACK_FILE)
