from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from review.tests.label_versions import install as install_labels
from worker.inference.repository import ModelVersion, Preprocessing, Repository
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.manifest import FILES, WeightsSource
from worker.inference.tests.conftest import cnn, labels_file, repository, weights
from worker.inference.tests.fakes import NAME

__all__ = ["cnn", "labels_file", "repository", "weights"]

Install = Callable[[bytes], ModelVersion]

GREY = Preprocessing(8, 4, "L", (0.0,), (255.0,), resize="pad")


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


def build_int8(**details: str) -> Callable[[Path], VersionDraft]:
    """Returns a function for `Repository.add` that builds a version with int8 weights, which no engine can load."""

    def build(folder: Path) -> VersionDraft:
        for kind in ("xml", "bin"):
            (folder / FILES[kind]).write_bytes(kind.encode())
        (folder / FILES["labels"]).write_text("1\tblack_cat\n2\tdog\n", encoding="utf-8")
        return VersionDraft(
            WeightsSource("file", "own.onnx", "a" * 64, None), GREY, precision="int8", base="other@1", details=details
        )

    return build


@pytest.fixture
def two(repository: Repository) -> Repository:
    """`own@1`, which is active, and `own@2`, which has the label `unicorn` instead of `cup`."""
    install_labels(repository, "own", "1\tcup", "2\tespresso")
    install_labels(repository, "own", "2\tespresso", "3\tunicorn")
    repository.activate("own@1")
    return repository
