"""Installations that are repeated, concurrent, killed, or impossible."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from worker.inference.repository import Repository, RepositoryError, WeightsUnavailable, build, versions
from worker.inference.repository.files import exclusive
from worker.inference.tests.fakes import NAME, FakeRecipe
from worker.inference.tests.small_cnn import SmallCnn


def _state(root: Path) -> dict[str, tuple[int, str]]:
    """The modification time and SHA-256 of each file."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in root.rglob("*")
        if path.is_file()
    }


def test_second_installation_changes_nothing(models: Repository) -> None:
    before, lines = _state(models.root), list[str]()
    version = models.install("EfficientNet-Lite0", report=lines.append)
    assert str(version) == "efficientnet-lite0@1"
    assert lines == ["efficientnet-lite0@1 is already installed"]
    assert _state(models.root) == before


def test_other_weights_become_another_version(repository: Repository, weights: Path) -> None:
    first = repository.install(NAME, weights=weights)
    before = _state(first.path)
    weights.write_bytes(b"other numbers")
    assert str(repository.install(NAME, weights=weights)) == "fake-net@2"
    assert _state(first.path) == before


def test_damaged_version_is_rebuilt_under_the_next_number(repository: Repository, weights: Path) -> None:
    repository.install(NAME, weights=weights).file("bin").write_bytes(b"?")
    assert str(repository.install(NAME, weights=weights)) == "fake-net@2"
    assert str(repository.install(NAME, weights=weights)) == "fake-net@2"


def test_concurrent_installations_make_one_version(repository: Repository, weights: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(str(repository.install(NAME, weights=weights)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["fake-net@1"] * 4
    assert repository.verify() == []


# Kills itself at the Nth `sync`: of the six files, the folder, and after the renaming, the two folders above.
_KILLED_INSTALL = """
import os, pathlib, signal, sys
from worker.inference.repository import Repository
from worker.inference.repository import catalogue, publishing, versions
from worker.inference.tests.fakes import NAME, FakeRecipe, fake_build
catalogue.RECIPES[NAME] = FakeRecipe()
versions.build = fake_build
root, weights, left = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
def sync(path):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
publishing.sync = sync
Repository(root).install(NAME, weights=weights)
"""


@pytest.mark.parametrize("steps", range(9))
def test_killed_installation_leaves_a_whole_version_or_none(repository: Repository, weights: Path, steps: int) -> None:
    command = [sys.executable, "-c", _KILLED_INSTALL, str(repository.root), str(weights), str(steps)]
    assert subprocess.run(command, timeout=60).returncode == -9  # noqa: S603
    renamed = steps >= 7
    assert len(repository.versions()) == renamed
    assert repository.verify() == []
    assert str(repository.install(NAME, weights=weights)) == "fake-net@1"
    leftovers = list(repository.root.glob(".incoming-*"))
    assert leftovers == []


_INSTALL = """
import pathlib, sys
from worker.inference.repository import Repository
Repository(pathlib.Path(sys.argv[1])).install("efficientnet-lite0", report=lambda line: print(line, flush=True))
"""


def test_next_installation_removes_leftovers_of_a_killed_one(repository: Repository, weights: Path) -> None:
    command = [sys.executable, "-c", _INSTALL, str(repository.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("compiling"):
                process.kill()
    assert process.returncode == -9
    assert any(repository.root.glob(".incoming-*/model.keras"))
    assert repository.versions() == []
    lines: list[str] = []
    repository.install(NAME, weights=weights, report=lines.append)
    assert any(line.startswith("removing .incoming-") for line in lines)
    assert sorted(path.name for path in repository.root.iterdir()) == [".lock", "fake-net"]


def test_failed_build_leaves_nothing(repository: Repository, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(versions, "build", fail)
    with pytest.raises(RepositoryError, match=r"cannot write .*: No space left on device$"):
        repository.install(NAME, weights=weights)
    assert [path.name for path in repository.root.iterdir()] == [".lock"]


def test_full_disk_is_reported_whichever_library_finds_it(
    repository: Repository, weights: Path, cnn: SmallCnn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of the size of files makes every write beyond it fail, as on a full disk."""
    from worker.inference.keras_runtime import keras

    write = build.write_openvino

    def write_on_full_disk(network: Any, path: Path) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            write(network, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(build, "write_openvino", write_on_full_disk)
    monkeypatch.setattr(versions, "build", build.build)
    monkeypatch.setattr(FakeRecipe, "network", lambda *_: keras.saving.load_model(cnn.keras))
    with pytest.raises(RepositoryError, match=r"^cannot write to the models folder .*: File too large$"):
        repository.install(NAME, weights=weights)
    assert [path.name for path in repository.root.iterdir()] == [".lock"]


def test_says_that_it_waits_for_another_command(repository: Repository, weights: Path) -> None:
    lines: list[str] = []
    repository.root.mkdir()
    with exclusive(repository.root / ".lock"):
        thread = threading.Thread(target=lambda: repository.install(NAME, weights=weights, report=lines.append))
        thread.start()
        while not lines:
            assert thread.is_alive()
            thread.join(0.01)
        assert lines == ["waiting for another command that changes the models folder"]
    thread.join()
    assert lines[-1] == "installed fake-net@1"


def test_reports_folder_that_cannot_be_created(weights: Path, repository: Repository) -> None:
    repository.root.write_text("a file where the folder should be")
    with pytest.raises(RepositoryError, match="cannot write to the models folder"):
        repository.install(NAME, weights=weights)


def test_rejects_missing_or_unsuitable_weights(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="No such file"):
        repository.install(NAME, weights=tmp_path / "none.fake")
    with pytest.raises(WeightsUnavailable, match="the name must end in .pth"):
        repository.install("efficientnet-lite0", weights=tmp_path / "weights.zip")
    assert not os.path.exists(repository.root)
