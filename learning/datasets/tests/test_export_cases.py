"""The command `manage.py export_cases`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from learning.datasets import writing
from learning.datasets.case_selection import CaseSelection
from learning.datasets.tests.data import decided_case, manifest

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "cases.zip"


@pytest.fixture
def four() -> None:
    for label in ("cup", "cup", "espresso"):
        decided_case(label)
    decided_case(verdict="unusable")


@pytest.fixture(autouse=True)
def restored_signals() -> Any:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def _run(path: Path, *arguments: str, kind: str = "imagefolder") -> tuple[str, str]:
    out, error = StringIO(), StringIO()
    call_command("export_cases", *arguments, format=kind, output=path, stdout=out, stderr=error)
    return out.getvalue(), error.getvalue()


def _error(path: Path, *arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        _run(path, *arguments)
    return str(caught.value)


def test_removes_what_a_killed_export_has_left(path: Path, four: None) -> None:
    for name in (".cases.zip.0123abcd.part", ".cases.zip.0123abcd.part.records"):
        path.with_name(name).touch()
    _run(path)
    assert [file.name for file in path.parent.iterdir()] == ["cases.zip"]


def test_writes_an_archive_and_reports_it(path: Path, four: None) -> None:
    out, error = _run(path)
    digest = sha256(path.read_bytes()).hexdigest()
    size = f"{path.stat().st_size / 1e3:,.1f} kB"
    assert out == f"{path}: 4 cases, 3 pictures, 2 labels, {size}, SHA-256 {digest}\n"
    assert error.splitlines() == ["0 of 4 cases", "4 of 4 cases"]
    assert len(manifest(path)) == 4
    assert [file.name for file in path.parent.iterdir()] == ["cases.zip"]


def test_writes_the_same_bytes_as_the_admin(path: Path, tmp_path: Path, four: None) -> None:
    _run(path)
    other = tmp_path / "other.zip"
    writing.write(CaseSelection().with_version(), "imagefolder", other)
    assert other.read_bytes() == path.read_bytes()


def test_options_select_cases(path: Path, four: None) -> None:
    _run(path, "--since", "2026-03-14", "--until", "2026-03-14", "--label", "cup", "--verdict", "corrected")
    assert [line["label"] for line in manifest(path)] == ["cup", "cup"]
    _run(path, "--force", "--label", "cup", "--label", "espresso", "--verdict", "right", "--verdict", "corrected")
    assert len(manifest(path)) == 3


def test_warns_of_missing_pictures(path: Path, four: None) -> None:
    Path(decided_case("tabby").image.file.path).unlink()
    _out, error = _run(path)
    assert error.splitlines()[-1] == "Missing pictures: 1. The manifest lists them with the reason."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "'yesterday' is not a day: YYYY-MM-DD"),
        (["--until", "2026-02-30"], "'2026-02-30' is not a day: YYYY-MM-DD"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "The first day, 2026-02-01, is after the last one"),
        (["--label", "no such thing"], "There is no label “no such thing”."),
        (["--verdict", "wrong"], "There is no verdict “wrong”. Verdicts: right, corrected, no-label, unusable."),
        (["--label", "cup", "--verdict", "unusable"], "Unusable pictures have no label"),
        (["--since", "2030-01-01"], "No decided case matches this selection."),
    ],
)
def test_rejects_invalid_selection(path: Path, four: None, arguments: list[str], message: str) -> None:
    assert message in _error(path, *arguments)
    assert list(path.parent.iterdir()) == []


def test_overwrites_a_file_only_with_force(path: Path, four: None) -> None:
    path.write_text("an earlier one")
    assert _error(path) == f"{path} already exists; use --force to overwrite it."
    assert path.read_text() == "an earlier one"
    _run(path, "--force")
    assert len(manifest(path)) == 4


def test_rejects_folder_as_output(path: Path, four: None) -> None:
    assert _error(path.parent) == f"{path.parent} is a folder; give a file name."
    assert _error(path.parent, "--force") == f"{path.parent} is a folder; give a file name."
    assert _error(path / "cases.zip") == f"The folder {path} does not exist."


def test_never_replaces_a_device_or_a_pipe(path: Path) -> None:
    """`--output /dev/stdout --force`, run by root, would replace the device for all programs of the machine."""
    os.mkfifo(path)
    assert _error(path, "--force") == f"{path} is not a regular file, and would be replaced by one."
    assert path.is_fifo()


def test_reports_a_folder_without_permission(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", forbidden)
    assert _error(path) == f"Cannot write {path}: Permission denied"


def test_full_disk_leaves_nothing(path: Path, four: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert _error(path) == f"Cannot write {path}: No space left on device"
    assert list(path.parent.iterdir()) == []


def test_reports_a_database_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise OperationalError("no such table")

    monkeypatch.setattr(CaseSelection, "rows", broken)
    assert _error(path) == "The database cannot be read: no such table"


# --- Processes --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_process_leaves_nothing(path: Path, four: None, number: int, settings: Any) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("hands the test database to other processes as a file")
    pause = path.parent.with_name("pause")
    code = (
        "import sys, django; django.setup()\n"
        "from pathlib import Path\n"
        "from django.conf import settings\n"
        "from django.core.management import execute_from_command_line\n"
        "from learning.datasets.tests.exporter import pause_at_the_third\n"
        "settings.MEDIA_ROOT = sys.argv[1]\n"
        "pause_at_the_third(Path(sys.argv[2]))\n"
        "execute_from_command_line(['manage.py', 'export_cases', '--format', 'imagefolder', '--output', sys.argv[3]])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(settings.MEDIA_ROOT), str(pause), str(path)],
        env=os.environ | {"DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not pause.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert [file.suffix for file in path.parent.iterdir()] == [".part"]
    process.send_signal(number)
    _out, error = process.communicate(timeout=30)
    assert process.returncode == 130 and "Interrupted; nothing was kept." in error
    assert list(path.parent.iterdir()) == []
