"""Only the owner of the site may read what it stores."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from devtools.running import ROOT
from mlsite import preparation


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _manage(data_dir: Path, *arguments: str) -> None:
    """Runs a command as a shell with the usual umask does."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "manage.py", *arguments]
    environment |= {"DATA_DIR": str(data_dir), "STATIC_DIR": str(data_dir / "static")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, umask=0o022, timeout=300)


def test_commands_write_private_files(tmp_path: Path) -> None:
    _manage(tmp_path, "migrate", "--verbosity=0")
    _manage(tmp_path, "seed_review", "--generated", "--cases=1")
    _manage(tmp_path, "dumpdata", f"--output={tmp_path / 'dump.json'}")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"db.sqlite3", "dump.json"}
    assert {_mode(path) for path in written} == {0o600}
    assert {_mode(path) for path in tmp_path.rglob("*") if path.is_dir()} == {0o700}


def test_static_files_stay_readable(tmp_path: Path) -> None:
    """Another server may serve them, and the build of the image collects them for another user."""
    _manage(tmp_path, "prepare", "--only-static-files")
    static = tmp_path / "static"
    assert _mode(static) == _mode(static / "css") == 0o755
    assert {_mode(path) for path in static.rglob("*") if path.is_file()} == {0o644}
    assert list(static.rglob("*.css.gz"))


def test_new_data_folder_is_private(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    preparation.prepare_data_folder()
    assert _mode(settings.DATA_DIR) == 0o700


def test_mends_an_existing_installation_and_says_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR, database = tmp_path / "data", tmp_path / "elsewhere.sqlite3"
    monkeypatch.setitem(connection.settings_dict, "NAME", str(database))
    monkeypatch.setattr(type(connection), "vendor", "sqlite", raising=False)
    settings.DATA_DIR.mkdir()
    settings.DATA_DIR.chmod(0o755)  # whatever the umask is
    for path in (database, Path(f"{database}-wal")):
        path.touch()
        path.chmod(0o644)
    reports: list[str] = []
    preparation.prepare_permissions(reports.append)
    assert _mode(settings.DATA_DIR) == 0o700
    assert _mode(database) == _mode(Path(f"{database}-wal")) == 0o600
    assert reports[0] == f"Permissions: {settings.DATA_DIR} is for its owner only now; its mode was 755"
    assert len(reports) == 3
    preparation.prepare_permissions(reports.append)
    assert len(reports) == 3


def test_says_if_it_cannot_mend(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    tmp_path.chmod(0o755)

    def not_owner(_path: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", not_owner)
    reports: list[str] = []
    preparation.prepare_permissions(reports.append)
    assert f"other users of this machine may read {tmp_path}: Operation not permitted" in reports[0]
