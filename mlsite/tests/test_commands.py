"""The commands for sites that run each process separately: `prepare`, `web`, `first_lead`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command
from pytest_django import Settings

from devtools.running import ROOT, eventually, free_port
from worker.inference.repository import Repository
from worker.inference.repository.manifest import MANIFEST
from worker.inference.tests.fakes import in_format_1


def _output_of(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


@pytest.mark.django_db
def test_prepare_imports_the_models_of_the_release(models: Repository, settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    assert _output_of("prepare", "--models", str(models.root)).endswith("Model: efficientnet-lite0@1\n")
    assert Repository(settings.MODELS_DIR).active_name() == "efficientnet-lite0@1"
    assert _output_of("prepare", "--models", str(models.root)) == "Model: efficientnet-lite0@1\n"


@pytest.mark.django_db
def test_prepare_installs_nothing_beside_the_model_of_the_first_release(
    models: Repository, settings: Settings, tmp_path: Path
) -> None:
    """Processes of that release cannot read a manifest of this one, and run until they are restarted."""
    settings.MODELS_DIR = tmp_path / "models"
    _output_of("prepare", "--models", str(models.root))
    repository = Repository(settings.MODELS_DIR)
    manifest = repository.get("efficientnet-lite0").path / MANIFEST
    text = in_format_1(repository.get("efficientnet-lite0").manifest)
    manifest.write_text(text, encoding="utf-8")
    for arguments in ([], ["--models", str(models.root)]):
        assert _output_of("prepare", *arguments) == "Model: efficientnet-lite0@1\n"
    assert [str(version) for version in repository.versions()] == ["efficientnet-lite0@1"]
    assert manifest.read_text(encoding="utf-8") == text


@pytest.mark.django_db
def test_prepare_reports_an_unknown_model_in_one_line(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR, settings.MODEL = tmp_path / "models", "efficientnet-lite9"
    with pytest.raises(CommandError, match="^Cannot prepare: .*efficientnet-lite9"):
        call_command("prepare")


@pytest.mark.django_db
def test_prepare_reports_a_folder_without_models_in_one_line(tmp_path: Path) -> None:
    for folder, message in ((tmp_path / "missing", "No such file or directory"), (tmp_path, "holds no model version")):
        with pytest.raises(CommandError, match=f"^Cannot prepare: .*{message}$"):
            call_command("prepare", "--models", str(folder))


@pytest.mark.django_db
def test_first_lead_shows_the_password_once() -> None:
    assert _output_of("first_lead").startswith("name lead, password ")
    assert _output_of("first_lead").startswith("A lead exists already.")


def test_web_serves_until_it_is_stopped(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "web", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(tmp_path), "DEBUG": "true"},
    )

    def is_alive() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).text == '{"status": "ok"}'
        except requests.ConnectionError:
            return False

    try:
        eventually(is_alive, "an answer")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not is_alive()
    finally:
        process.kill()
        process.wait()
