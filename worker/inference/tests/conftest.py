from __future__ import annotations

from pathlib import Path

import pytest

from worker.inference.repository import Repository, catalogue, versions
from worker.inference.tests.fakes import NAME, FakeRecipe, fake_build


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
