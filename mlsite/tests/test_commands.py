"""The commands of those who run each process by itself: `prepare`, `web`, `first_lead`."""

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


def _said(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


@pytest.mark.django_db
def test_prepare_takes_in_what_comes_with_the_release(models: Repository, settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    assert _said("prepare", "--models", str(models.root)).endswith("Model: efficientnet-lite0@1\n")
    assert Repository(settings.MODELS_DIR).active_name() == "efficientnet-lite0@1"
    assert _said("prepare", "--models", str(models.root)) == "Model: efficientnet-lite0@1\n"


@pytest.mark.django_db
def test_prepare_says_in_one_line_what_it_lacks(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR, settings.MODEL = tmp_path / "models", "efficientnet-lite9"
    with pytest.raises(CommandError, match="^Cannot prepare: .*efficientnet-lite9"):
        call_command("prepare")


@pytest.mark.django_db
def test_the_first_lead_is_shown_once() -> None:
    assert _said("first_lead").startswith("name lead, password ")
    assert _said("first_lead").startswith("There is a lead already.")


def test_web_becomes_the_server_and_stops_with_it(tmp_path: Path) -> None:
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
