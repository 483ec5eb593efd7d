"""The Makefile's checks before it installs anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

from devtools.running import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files of a fresh clone that `make` needs."""
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    return folder


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


def _fake_python(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_help_lists_the_targets(clone: Path) -> None:
    listed = _make(clone).stdout
    for target in ("run", "test", "lint", "format", "help"):
        assert f"\n{target} " in f"\n{listed}"


def test_old_python_is_reported_in_one_line(clone: Path, tmp_path: Path) -> None:
    old = _fake_python(tmp_path, 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    result = _make(clone, "run", f"PYTHON={old}")
    assert result.returncode != 0
    assert result.stderr.splitlines()[0] == "make: needs Python 3.11, 3.12 or 3.13; found: Python 3.9.2"
    assert not (clone / ".venv").exists()


def test_missing_python_is_reported_in_one_line(clone: Path) -> None:
    result = _make(clone, "run", "PYTHON=")  # the result of a search without a match
    assert result.returncode != 0
    assert result.stderr.startswith("make: needs Python 3.11, 3.12 or 3.13; found: Python 3.")


def test_python_without_venv_is_reported_in_one_line(clone: Path, tmp_path: Path) -> None:
    bare = _fake_python(tmp_path, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    result = _make(clone, "run", f"PYTHON={bare}")
    assert result.returncode != 0
    assert "apt install python3-venv" in result.stderr.splitlines()[0]
