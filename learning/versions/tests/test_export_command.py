"""`manage.py model export` and `model import` of the exported file."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from learning.versions.tests.conftest import Install
from worker.inference.repository import Repository
from worker.inference.tests.fakes import NAME


def _model(*arguments: str) -> str:
    out = StringIO()
    call_command("model", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_version_is_carried_to_another_site(install: Install, settings: Settings, tmp_path: Path) -> None:
    install(b"1")
    file = tmp_path / "fake-net.zip"
    assert _model("export", NAME, str(file)) == f"exported fake-net@1 to {file}, 0.0 MB\n"
    settings.MODELS_DIR = tmp_path / "elsewhere"
    assert _model("import", str(file)).splitlines() == ["installed fake-net@1", "fake-net@1 is active"]
    assert _model("import", str(file)).splitlines() == ["fake-net@1 is already installed"]
    assert _model("verify") == "All files are intact.\n"


def test_imported_version_does_not_replace_the_active_one(
    install: Install, settings: Settings, tmp_path: Path, repository: Repository
) -> None:
    file = tmp_path / "fake-net.zip"
    repository.activate(str(install(b"1")))
    install(b"2")
    _model("export", f"{NAME}@2", str(file))
    repository.remove(f"{NAME}@2")
    assert _model("import", str(file)) == "installed fake-net@3\n"
    assert repository.active_name() == f"{NAME}@1"


def test_damaged_file_leaves_nothing(install: Install, settings: Settings, tmp_path: Path) -> None:
    install(b"1")
    file = tmp_path / "fake-net.zip"
    _model("export", NAME, str(file))
    file.write_bytes(file.read_bytes()[:-100])
    settings.MODELS_DIR = tmp_path / "elsewhere"
    with pytest.raises(CommandError, match=r"fake-net.zip is damaged"):
        _model("import", str(file))
    assert [path.name for path in settings.MODELS_DIR.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("target", "message"),
    [("missing/x.zip", "Cannot write .*: No such file or directory"), (".", "not a regular file")],
)
def test_target_that_cannot_be_written_is_reported(install: Install, tmp_path: Path, target: str, message: str) -> None:
    install(b"1")
    with pytest.raises(CommandError, match=message):
        _model("export", NAME, str(tmp_path / target))
