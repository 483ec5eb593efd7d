"""docs/models.md takes a reader from their own network to a running site: its commands are executed here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.running import ROOT, RunningSite
from worker.inference.tests.small_cnn import small_cnn, write_pictures

SECTION = "## Your own network"
LABELS = ("daisy", "poppy", "rose", "tulip")
UP = ".venv/bin/python manage.py up"


def _commands() -> list[tuple[str, str]]:
    """Each command of the section, with the output that the document shows below it."""
    section = (ROOT / "docs" / "models.md").read_text().split(f"{SECTION}\n", 1)[1].split("\n### ", 1)[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "")
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", lines, re.MULTILINE)
    return [(command, output) for command, output in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clean folder with the reader's own files."""
    folder = tmp_path / "own"
    network = small_cnn(tmp_path).keras
    write_pictures(folder / "photos", 5, LABELS)
    shutil.copy(network, folder / "flowers.keras")
    (folder / "flowers.txt").write_text("\n".join(LABELS) + "\n")
    return folder


def _run(command: str, folder: Path, data_dir: Path) -> str:
    words = [sys.executable, str(ROOT / "manage.py")] if command.startswith(UP.removesuffix(" up")) else []
    words += shlex.split(command.removeprefix(UP.removesuffix(" up")) if words else command)
    environment = {**os.environ, "DATA_DIR": str(data_dir)}
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_the_documented_commands_lead_to_a_running_site(folder: Path, tmp_path: Path) -> None:
    commands = _commands()
    data_dir = tmp_path / "var"
    before = [command for command, _ in commands].index(UP)
    for command, expected in commands[:before]:
        output = _run(command, folder, data_dir)
        assert not expected or output == expected, command
    assert "* flowers@1" in output
    with RunningSite(data_dir) as site:
        for command, _ in commands[before + 1 :]:
            output = _run(command.replace("http://127.0.0.1:8000", site.url), folder, data_dir)
    assert '"prediction":"tulip"' in output
    assert '"model":"flowers@1"' in output
