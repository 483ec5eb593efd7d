from __future__ import annotations

from pathlib import Path

import pytest

from worker.inference.repository import Repository, catalogue, versions
from worker.inference.tests.fakes import NAME, FakeRecipe, fake_build
from worker.inference.tests.small_cnn import LABELS, SmallCnn, small_cnn


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """An empty repository in which `fake-net` can be installed within milliseconds."""
    monkeypatch.setitem(catalogue.RECIPES, NAME, FakeRecipe())
    monkeypatch.setattr(versions, "build", fake_build)
    return Repository(tmp_path / "models")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.fake"
    path.write_bytes(b"some numbers")
    return path


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> SmallCnn:
    """A small trained network in every file format. No labels are beside it."""
    return small_cnn(tmp_path_factory.mktemp("small-cnn"))


@pytest.fixture
def labels_file(tmp_path: Path) -> Path:
    """A file with the labels of `cnn`."""
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    return path
