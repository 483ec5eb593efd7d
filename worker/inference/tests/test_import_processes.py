"""Imports that run at the same time, are ended, find the disk full, or never end."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from worker.inference.importing import ImportOptions, ImportRefused, import_network
from worker.inference.importing import process as process_module
from worker.inference.importing.process import Report, call_in_a_process
from worker.inference.repository import Repository
from worker.inference.tests.small_cnn import SmallCnn, endless_onnx

ROOT = Path(__file__).parents[3]


def _start(repository: Repository, labels: Path, network: Path, *, limit: int = 0) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "worker.inference.tests.importing_program"]
    arguments = [str(repository.root), str(labels), str(limit), str(network)]
    return subprocess.Popen([*program, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


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


@pytest.mark.parametrize("file", ["work", "model.xml"])
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ended_import_of_an_endless_network_leaves_no_process(
    number: signal.Signals, repository: Repository, labels_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless_onnx())
    process = _start(repository, labels_file, path)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("preprocessing:"):  # then the network is run
        assert process.poll() is None
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert repository.versions() == []


def test_endless_network_is_refused(
    repository: Repository, labels_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless_onnx())
    monkeypatch.setattr(process_module, "SILENT_SECONDS", 6)
    with pytest.raises(ImportRefused, match=r"^endless.onnx cannot be used: reading it or running it takes longer"):
        import_network(repository, "own", path, ImportOptions(labels=str(labels_file), preset="keras-tf"))
    assert list(_leftovers(repository)) == []


def _full_disk(report: Report) -> None:
    report("writing")
    raise RuntimeError(f"Can't close the file: {os.strerror(errno.ENOSPC)}")


def _out_of_memory(report: Report) -> None:
    raise RuntimeError("Check failed:\nstd::bad_alloc")


def _crash(report: Report) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_errors_of_libraries_are_told_apart() -> None:
    lines: list[str] = []
    with pytest.raises(OSError, match="No space left"):
        call_in_a_process(_full_disk, name="own.onnx", report=lines.append)
    assert lines == ["writing"]
    with pytest.raises(ImportRefused, match=r"^own.onnx needs more memory"):
        call_in_a_process(_out_of_memory, name="own.onnx")
    with pytest.raises(ImportRefused, match=r"^own.onnx cannot be read: .* crashed the library"):
        call_in_a_process(_crash, name="own.onnx")
