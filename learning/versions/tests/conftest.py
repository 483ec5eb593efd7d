from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.inference.repository import ModelVersion, Repository
from worker.inference.tests.conftest import cnn, labels_file, repository, weights
from worker.inference.tests.fakes import NAME

__all__ = ["cnn", "labels_file", "repository", "weights"]

Install = Callable[[bytes], ModelVersion]


@pytest.fixture(autouse=True)
def models_dir(repository: Repository, settings: Any) -> None:
    settings.MODELS_DIR = repository.root


@pytest.fixture
def install(repository: Repository, weights: Path) -> Install:
    """Installs the version with these weights."""

    def install(content: bytes) -> ModelVersion:
        weights.write_bytes(content)
        return repository.install(NAME, weights=weights)

    return install
