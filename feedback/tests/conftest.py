from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture
def mirror_file(settings: Settings) -> Path:
    """The mirror of this test. It is not there before somebody says something."""
    return Path(settings.FEEDBACK_FILE)
