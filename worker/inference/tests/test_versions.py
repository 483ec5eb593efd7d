"""The repository as its users see it; installations are in test_install.py."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from worker.inference.repository import Damaged, NotInstalled, Repository, UnknownModel
from worker.inference.repository.manifest import FILES, MANIFEST
from worker.inference.tests.fakes import NAME


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_an_empty_repository(repository: Repository) -> None:
    assert repository.versions() == []
    assert repository.active() is None
    assert repository.verify() == []
    with pytest.raises(NotInstalled, match="installed: nothing yet"):
        repository.get(NAME)


def test_get_takes_a_version_or_the_newest(repository: Repository, weights: Path) -> None:
    first = repository.install(NAME, weights=weights)
    weights.write_bytes(b"better numbers")
    second = repository.install(NAME, weights=weights)
    assert [str(version) for version in repository.versions()] == ["fake-net@1", "fake-net@2"]
    assert repository.get("fake-net@1") == first
    assert repository.get("fake-net") == repository.get("Fake-Net@2") == second
    assert first.labels[0] == "tench"
    assert len(first.labels) == 1000


def test_the_tenth_version_is_newer_than_the_ninth(repository: Repository, weights: Path) -> None:
    for number in range(10):
        weights.write_bytes(bytes([number]))
        repository.install(NAME, weights=weights)
    assert str(repository.get(NAME)) == "fake-net@10"
    assert str(repository.versions()[-1]) == "fake-net@10"


@pytest.mark.parametrize(
    "reference", ["", "@", "fake-net@", "fake-net@0", "fake-net@2", "fake-net@x", "..", "../x@1", "a b", "é", "\0"]
)
def test_a_reference_to_nothing(repository: Repository, weights: Path, reference: str) -> None:
    repository.install(NAME, weights=weights)
    for ask in (repository.get, repository.activate, repository.verify):
        with pytest.raises(NotInstalled, match="installed: fake-net@1$"):
            ask(reference)


def test_an_unknown_name_lists_names_like_it(repository: Repository) -> None:
    with pytest.raises(UnknownModel, match="did you mean resnet50"):
        repository.install("resnet5")
    with pytest.raises(UnknownModel, match="there are efficientnet-lite0, "):
        repository.install("\0")


@pytest.mark.parametrize("file", [*FILES.values(), MANIFEST])
def test_one_flipped_bit_is_found_and_the_version_refused(repository: Repository, weights: Path, file: str) -> None:
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
def test_a_missing_or_short_file_hides_the_version(repository: Repository, weights: Path, file: str) -> None:
    version = repository.install(NAME, weights=weights)
    repository.activate(NAME)
    os.truncate(version.path / file, 10)
    assert repository.versions() == []
    with pytest.raises(Damaged, match=file):
        repository.active()
    (version.path / file).unlink()
    assert repository.versions() == []
    assert [str(problem) for problem in repository.verify()] == [f"fake-net@1: {file} is missing"]


def test_a_damaged_newest_version_is_not_silently_replaced_by_an_older(repository: Repository, weights: Path) -> None:
    repository.install(NAME, weights=weights)
    weights.write_bytes(b"better numbers")
    _flip(repository.install(NAME, weights=weights).file("bin"))
    with pytest.raises(Damaged, match="fake-net@2: model.bin"):
        repository.get(NAME)


def test_a_version_under_another_name_is_refused(repository: Repository, weights: Path) -> None:
    version = repository.install(NAME, weights=weights)
    shutil.copytree(version.path, repository.root / "other-net" / "1")
    with pytest.raises(Damaged, match="belongs to fake-net@1"):
        repository.get("other-net@1")


def test_changed_labels_are_never_read(repository: Repository, weights: Path) -> None:
    version = repository.install(NAME, weights=weights)
    _flip(version.file("labels"))
    with pytest.raises(Damaged, match="labels.tsv"):
        _ = version.labels


def test_activation(repository: Repository, weights: Path) -> None:
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


def test_an_active_version_that_is_gone_is_reported(repository: Repository, weights: Path) -> None:
    version = repository.install(NAME, weights=weights)
    repository.activate(NAME)
    shutil.rmtree(version.path)
    with pytest.raises(NotInstalled):
        repository.active()
    assert [problem.file for problem in repository.verify()] == ["active"]


def test_strangers_in_the_folder_are_ignored(repository: Repository, weights: Path) -> None:
    repository.install(NAME, weights=weights)
    for name in (".git/1", "Notes/1", "fake-net/old", "fake-net/01"):
        (repository.root / name).mkdir(parents=True)
    (repository.root / "readme").touch()
    assert [str(version) for version in repository.versions()] == ["fake-net@1"]
    assert repository.verify() == []
