"""Versions of another folder of models, as they come with a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.inference.repository import Damaged, Repository
from worker.inference.tests.fakes import NAME


@pytest.fixture
def released(repository: Repository, weights: Path, tmp_path: Path) -> Repository:
    """What a release brings: `fake-net@1`, active."""
    folder = Repository(tmp_path / "released")
    folder.activate(str(folder.install(NAME, weights=weights)))
    return folder


def _next_release(tmp_path: Path, weights: Path) -> Repository:
    """A later one, built from nothing and so `fake-net@1` again, but of other weights."""
    weights.write_bytes(b"better numbers")
    folder = Repository(tmp_path / "released-later")
    folder.activate(str(folder.install(NAME, weights=weights)))
    return folder


def test_an_empty_folder_takes_all_and_answers_with_it(repository: Repository, released: Repository) -> None:
    repository.import_versions(released.root)
    assert repository.active_name() == "fake-net@1"
    assert repository.verify() == []
    reports: list[str] = []
    repository.import_versions(released.root, report=reports.append)
    assert [str(version) for version in repository.versions()] == ["fake-net@1"]
    assert reports == []


def test_a_later_release_gets_a_number_of_its_own_and_answers(
    repository: Repository, released: Repository, tmp_path: Path, weights: Path
) -> None:
    repository.import_versions(released.root)
    first = repository.get("fake-net@1").manifest
    repository.import_versions(_next_release(tmp_path, weights).root)
    assert repository.active_name() == "fake-net@2"
    assert repository.get("fake-net@1").manifest == first
    assert repository.verify() == []
    repository.import_versions(released.root)  # back to the earlier one
    assert repository.active_name() == "fake-net@1"
    assert len(repository.versions()) == 2


def test_what_somebody_chose_stays(repository: Repository, released: Repository, tmp_path: Path, weights: Path) -> None:
    own = tmp_path / "own.fake"
    own.write_bytes(b"my own numbers")
    repository.import_versions(released.root)
    repository.activate(str(repository.install(NAME, weights=own)))
    reports: list[str] = []
    repository.import_versions(_next_release(tmp_path, weights).root, report=reports.append)
    assert repository.active_name() == "fake-net@2"
    assert "fake-net@3" in reports[-1] and "stays active" in reports[-1]
    assert str(repository.get("fake-net@3")) == "fake-net@3"


def test_a_damaged_release_is_not_taken_in(repository: Repository, released: Repository) -> None:
    file = released.root / NAME / "1" / "model.bin"
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(Damaged, match="model.bin"):
        repository.import_versions(released.root)
    assert repository.versions() == []
    assert repository.active() is None


def test_a_damaged_version_here_is_replaced_by_a_sound_one(repository: Repository, released: Repository) -> None:
    repository.import_versions(released.root)
    file = repository.root / NAME / "1" / "model.bin"
    file.write_bytes(file.read_bytes()[::-1])
    repository.import_versions(released.root)
    assert repository.active_name() == "fake-net@2"
    assert str(repository.get("fake-net@2")) == "fake-net@2"
