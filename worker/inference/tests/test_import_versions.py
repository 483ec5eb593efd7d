"""Importing the versions of another models folder, such as the one of a release."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.inference.repository import Damaged, NotInstalled, Repository
from worker.inference.repository.manifest import MANIFEST
from worker.inference.tests.fakes import NAME, in_format_1


@pytest.fixture
def released(repository: Repository, weights: Path, tmp_path: Path) -> Repository:
    """The models folder of a release, in which `fake-net@1` is active."""
    folder = Repository(tmp_path / "released")
    folder.activate(str(folder.install(NAME, weights=weights)))
    return folder


def _next_release(tmp_path: Path, weights: Path) -> Repository:
    """The folder of a later release: its `fake-net@1` has other weights."""
    weights.write_bytes(b"better numbers")
    folder = Repository(tmp_path / "released-later")
    folder.activate(str(folder.install(NAME, weights=weights)))
    return folder


def test_empty_repository_imports_all_and_activates(repository: Repository, released: Repository) -> None:
    repository.import_versions(released.root)
    assert repository.active_name() == "fake-net@1"
    assert repository.verify() == []
    reports: list[str] = []
    repository.import_versions(released.root, report=reports.append)
    assert [str(version) for version in repository.versions()] == ["fake-net@1"]
    assert reports == []


def test_version_that_the_first_release_installed_is_not_installed_again(
    repository: Repository, released: Repository
) -> None:
    """Its processes cannot read a manifest of this release, and may still run."""
    repository.import_versions(released.root)
    path = repository.root / NAME / "1" / MANIFEST
    text = in_format_1(repository.get("fake-net@1").manifest)
    path.write_text(text, encoding="utf-8")
    reports: list[str] = []
    repository.import_versions(released.root, report=reports.append)
    assert (reports, [str(version) for version in repository.versions()]) == ([], ["fake-net@1"])
    assert (repository.active_name(), path.read_text(encoding="utf-8")) == ("fake-net@1", text)


def test_later_release_gets_the_next_number_and_becomes_active(
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


def test_version_activated_by_hand_stays_active(
    repository: Repository, released: Repository, tmp_path: Path, weights: Path
) -> None:
    own = tmp_path / "own.fake"
    own.write_bytes(b"my own numbers")
    repository.import_versions(released.root)
    repository.activate(str(repository.install(NAME, weights=own)))
    reports: list[str] = []
    repository.import_versions(_next_release(tmp_path, weights).root, report=reports.append)
    assert repository.active_name() == "fake-net@2"
    assert "fake-net@3" in reports[-1] and "stays active" in reports[-1]
    assert str(repository.get("fake-net@3")) == "fake-net@3"


def test_rejects_damaged_release(repository: Repository, released: Repository) -> None:
    file = released.root / NAME / "1" / "model.bin"
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(Damaged, match="model.bin"):
        repository.import_versions(released.root)
    assert repository.versions() == []
    assert repository.active() is None


@pytest.mark.parametrize("name", ["model.bin", "manifest.json"])
def test_says_why_no_version_is_usable(repository: Repository, released: Repository, name: str) -> None:
    (released.root / NAME / "1" / name).unlink()
    with pytest.raises(Damaged, match=f"holds no usable model version: fake-net@1: {name} is missing"):
        repository.import_versions(released.root)


def test_rejects_a_folder_without_versions(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, message in (
        ("missing", "No such file"),
        ("file", "Not a directory"),
        ("empty", "holds no model version"),
    ):
        with pytest.raises(NotInstalled, match=message):
            repository.import_versions(tmp_path / name)


def test_damaged_version_is_replaced_by_intact_one(repository: Repository, released: Repository) -> None:
    repository.import_versions(released.root)
    file = repository.root / NAME / "1" / "model.bin"
    file.write_bytes(file.read_bytes()[::-1])
    repository.import_versions(released.root)
    assert repository.active_name() == "fake-net@2"
    assert str(repository.get("fake-net@2")) == "fake-net@2"
