"""Imports that run at the same time, are killed, or find the disk full."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from worker.inference.importing import ImportOptions, import_network
from worker.inference.repository import Repository
from worker.inference.tests.small_cnn import SmallCnn

ROOT = Path(__file__).parents[3]


def _start(repository: Repository, labels: Path, network: Path, *, limit: int = 0) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "worker.inference.tests.importing_program"]
    arguments = [str(repository.root), str(labels), str(limit), str(network)]
    return subprocess.Popen([*program, *arguments], cwd=ROOT, text=True, stderr=subprocess.PIPE)


def _leftovers(repository: Repository) -> Iterator[Path]:
    return repository.root.glob(".incoming-*")


def test_two_imports_of_one_name_get_two_numbers(cnn: SmallCnn, repository: Repository, labels_file: Path) -> None:
    processes = [_start(repository, labels_file, path) for path in (cnn.onnx, cnn.tflite)]
    for process in processes:
        assert process.communicate(timeout=120)[1] == ""
    assert [str(version) for version in repository.versions()] == ["own@1", "own@2"]
    assert repository.verify() == []
    sources = {version.manifest.source.reference for version in repository.versions()}
    assert sources == {cnn.onnx.name, cnn.tflite.name}


@pytest.mark.parametrize("file", ["work", "work/network.xml"])
def test_killed_import_leaves_no_version(file: str, cnn: SmallCnn, repository: Repository, labels_file: Path) -> None:
    process = _start(repository, labels_file, cnn.onnx)
    while not any((folder / file).exists() for folder in _leftovers(repository)):
        assert process.poll() is None
        time.sleep(0.002)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=60)  # the process that reads the file ends with its parent
    assert alive == []
    assert repository.versions() == []
    assert list(_leftovers(repository))
    options = ImportOptions(labels=str(labels_file), preset="keras-tf")
    assert str(import_network(repository, "own", cnn.onnx, options)) == "own@1"
    assert list(_leftovers(repository)) == []


@pytest.mark.parametrize("limit", [10, 2000, 7000])
@pytest.mark.parametrize("kind", ["onnx", "keras"])
def test_full_disk_leaves_no_version(
    kind: str, limit: int, cnn: SmallCnn, repository: Repository, labels_file: Path
) -> None:
    """A limit of the size of files makes every write beyond it fail, as on a full disk."""
    process = _start(repository, labels_file, getattr(cnn, kind), limit=limit)
    _, message = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in message and message.count("\n") == 1
    assert "disk" in message or "File too large" in message
    assert repository.versions() == []
    assert list(_leftovers(repository)) == []
