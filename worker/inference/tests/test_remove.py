"""Removing versions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.inference.repository import Damaged, NotInstalled, Repository, VersionInUse
from worker.inference.tests.fakes import NAME


def _install(repository: Repository, weights: Path, content: bytes) -> str:
    weights.write_bytes(content)
    return str(repository.install(NAME, weights=weights))


def test_removes_a_version_whole(repository: Repository, weights: Path) -> None:
    _install(repository, weights, b"1")
    _install(repository, weights, b"2")
    repository.remove("fake-net@1")
    assert [str(version) for version in repository.versions()] == ["fake-net@2"]
    assert sorted(path.name for path in (repository.root / NAME).iterdir()) == [".last-removed", "2"]
    assert list(repository.root.glob(".removed-*")) == []
    with pytest.raises(NotInstalled):
        repository.remove("fake-net@1")


def test_number_of_a_removed_version_is_never_given_again(repository: Repository, weights: Path) -> None:
    for content in (b"1", b"2", b"3"):
        _install(repository, weights, content)
    repository.remove("fake-net@3")
    repository.remove("fake-net@1")
    assert _install(repository, weights, b"4") == "fake-net@4"
    for number in (2, 4):
        repository.remove(f"fake-net@{number}")
    assert repository.versions() == []
    other = Repository(repository.root.with_name("other"))
    other.install(NAME, weights=weights)
    repository.import_versions(other.root)
    assert [str(version) for version in repository.versions()] == ["fake-net@5"]


def test_does_not_guess_a_number_if_the_record_is_damaged(repository: Repository, weights: Path) -> None:
    _install(repository, weights, b"1")
    repository.remove("fake-net@1")
    (repository.root / NAME / ".last-removed").write_text("")
    with pytest.raises(Damaged, match="does not hold the highest removed number"):
        _install(repository, weights, b"2")


def test_keeps_the_active_version(repository: Repository, weights: Path) -> None:
    repository.activate(_install(repository, weights, b"1"))
    with pytest.raises(VersionInUse, match="fake-net@1 is active"):
        repository.remove("fake-net@1")
    assert str(repository.active()) == "fake-net@1"


def test_removes_a_damaged_version(repository: Repository, weights: Path) -> None:
    _install(repository, weights, b"1")
    (repository.root / NAME / "1" / "manifest.json").unlink()
    repository.remove("fake-net@1")
    assert repository.verify() == []


def test_removes_the_link_to_a_version_and_not_the_version(repository: Repository, weights: Path) -> None:
    _install(repository, weights, b"1")
    elsewhere = repository.root.with_name("elsewhere")
    (repository.root / NAME / "1").rename(elsewhere)
    (repository.root / NAME / "1").symlink_to(elsewhere)
    repository.remove("fake-net@1")
    assert repository.verify() == []
    assert list(repository.root.glob(".removed-*")) == []
    assert (elsewhere / "manifest.json").exists()
    assert _install(repository, weights, b"2") == "fake-net@2"


# Kills itself when it begins to delete the hidden folder.
_KILLED_REMOVAL = """
import os, pathlib, signal, sys
from worker.inference.repository import Repository, publishing
publishing.shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
Repository(pathlib.Path(sys.argv[1])).remove("fake-net@1")
"""


def test_killed_removal_leaves_no_half_version(repository: Repository, weights: Path) -> None:
    _install(repository, weights, b"1")
    _install(repository, weights, b"2")
    process = subprocess.run([sys.executable, "-c", _KILLED_REMOVAL, os.fspath(repository.root)], timeout=60)  # noqa: S603
    assert process.returncode == -9
    assert [str(version) for version in repository.versions()] == ["fake-net@2"]
    assert len(list(repository.root.glob(".removed-*"))) == 1
    repository.remove("fake-net@2")
    assert list(repository.root.glob(".removed-*")) == []
