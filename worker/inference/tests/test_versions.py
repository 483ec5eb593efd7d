"""Reading, verifying and activating versions. test_install.py tests installations."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from worker.inference.repository import Damaged, NotInstalled, Repository, RepositoryError, UnknownModel
from worker.inference.repository.manifest import FILES, MANIFEST
from worker.inference.tests.fakes import NAME


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_empty_repository_has_no_versions(repository: Repository) -> None:
    assert repository.versions() == []
    assert repository.active() is None
    assert repository.verify() == []
    with pytest.raises(NotInstalled, match="installed: nothing yet"):
        repository.get(NAME)


def test_get_returns_a_version_or_the_newest(repository: Repository, weights: Path) -> None:
    first = repository.install(NAME, weights=weights)
    weights.write_bytes(b"better numbers")
    second = repository.install(NAME, weights=weights)
    assert [str(version) for version in repository.versions()] == ["fake-net@1", "fake-net@2"]
    assert repository.get("fake-net@1") == first
    assert repository.get("fake-net") == repository.get("Fake-Net@2") == second
    assert first.labels[0].name == "tench"
    assert len(first.labels) == 1000


def test_tenth_version_is_newer_than_the_ninth(repository: Repository, weights: Path) -> None:
    for number in range(10):
        weights.write_bytes(bytes([number]))
        repository.install(NAME, weights=weights)
    assert str(repository.get(NAME)) == "fake-net@10"
    assert str(repository.versions()[-1]) == "fake-net@10"


@pytest.mark.parametrize(
    "reference",
    ["", "@", "fake-net@", "fake-net@0", "fake-net@2", "fake-net@x", "..", "../x@1", "a b", "é", "\0", "x" * 101],
)
def test_rejects_unknown_reference(repository: Repository, weights: Path, reference: str) -> None:
    repository.install(NAME, weights=weights)
    for ask in (repository.get, repository.activate, repository.verify):
        with pytest.raises(NotInstalled, match="installed: fake-net@1$"):
            ask(reference)


def test_message_about_a_long_reference_is_short(repository: Repository) -> None:
    for ask in (repository.get, repository.activate, repository.verify, repository.remove, repository.full_name):
        with pytest.raises(NotInstalled, match="^'x{110}…' is not installed"):
            ask("x" * 100_000)


def test_unknown_name_suggests_similar_ones(repository: Repository) -> None:
    with pytest.raises(UnknownModel, match="did you mean resnet50"):
        repository.install("resnet5")
    with pytest.raises(UnknownModel, match="available: efficientnet-lite0, "):
        repository.install("\0")


@pytest.mark.parametrize("file", [*FILES.values(), MANIFEST])
def test_rejects_version_with_a_flipped_bit(repository: Repository, weights: Path, file: str) -> None:
    version = repository.install(NAME, weights=weights)
    repository.activate(NAME)
    _flip(version.path / file)
    for problems in (repository.verify(), repository.verify(NAME)):
        assert [(problem.version, problem.file) for problem in problems] == [("fake-net@1", file)]
    with pytest.raises(Damaged, match=file):
        repository.get(NAME)
    with pytest.raises(Damaged, match=file):
        repository.activate(NAME)


@pytest.mark.parametrize("file", [*FILES.values(), MANIFEST])
def test_missing_or_short_file_hides_the_version(repository: Repository, weights: Path, file: str) -> None:
    version = repository.install(NAME, weights=weights)
    repository.activate(NAME)
    os.truncate(version.path / file, 10)
    assert repository.versions() == []
    with pytest.raises(Damaged, match=file):
        repository.active()
    (version.path / file).unlink()
    assert repository.versions() == []
    assert [str(problem) for problem in repository.verify()] == [f"fake-net@1: {file} is missing"]


def test_damaged_newest_version_does_not_fall_back_to_an_older_one(repository: Repository, weights: Path) -> None:
    repository.install(NAME, weights=weights)
    weights.write_bytes(b"better numbers")
    _flip(repository.install(NAME, weights=weights).file("bin"))
    with pytest.raises(Damaged, match="fake-net@2: model.bin"):
        repository.get(NAME)


def test_rejects_version_under_another_name(repository: Repository, weights: Path) -> None:
    version = repository.install(NAME, weights=weights)
    shutil.copytree(version.path, repository.root / "other-net" / "1")
    with pytest.raises(Damaged, match="belongs to fake-net@1"):
        repository.get("other-net@1")


def test_rejects_changed_labels(repository: Repository, weights: Path) -> None:
    version = repository.install(NAME, weights=weights)
    _flip(version.file("labels"))
    with pytest.raises(Damaged, match="labels.tsv"):
        _ = version.labels


def test_activate_verifies_and_switches(repository: Repository, weights: Path) -> None:
    first = repository.install(NAME, weights=weights)
    weights.write_bytes(b"better numbers")
    second = repository.install(NAME, weights=weights)
    assert repository.activate("fake-net@1") == repository.active() == first
    assert repository.activate("fake-net") == repository.active() == second
    assert (repository.root / "active").read_text() == "fake-net@2\n"
    _flip(first.file("keras"))
    with pytest.raises(Damaged):
        repository.activate("fake-net@1")
    assert repository.active() == second


def test_reports_missing_active_version(repository: Repository, weights: Path) -> None:
    version = repository.install(NAME, weights=weights)
    repository.activate(NAME)
    shutil.rmtree(version.path)
    with pytest.raises(NotInstalled):
        repository.active()
    assert [problem.file for problem in repository.verify()] == ["active"]


def test_ignores_foreign_files(repository: Repository, weights: Path) -> None:
    repository.install(NAME, weights=weights)
    for name in (".git/1", "Notes/1", "fake-net/old", "fake-net/01"):
        (repository.root / name).mkdir(parents=True)
    (repository.root / "readme").touch()
    assert [str(version) for version in repository.versions()] == ["fake-net@1"]
    assert repository.verify() == []


def test_ignores_numbers_that_no_reference_can_have(repository: Repository, weights: Path) -> None:
    (repository.root / NAME / "1000000000").mkdir(parents=True)
    assert str(repository.install(NAME, weights=weights)) == "fake-net@1"
    assert repository.verify() == []
    (repository.root / NAME / "999999999").mkdir()
    weights.write_bytes(b"better numbers")
    with pytest.raises(RepositoryError, match="fake-net@999999999 is or was the last possible version"):
        repository.install(NAME, weights=weights)
