"""A process that erases a picture is killed with SIGKILL after its commit. The next call removes what it has left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from devtools.running import ROOT

ERASE_AND_DIE = """
import os, signal
from feedback.services import feedback_give
from predictions import erasing
from predictions.models import Image
from predictions.uploads import stored_files
from review.models import Case

case = Case.objects.first()
feedback_give(prediction=case.prediction, author="a", verdict="unsure", comment="These are my own words.")
stored_files.delete = lambda image: os.kill(os.getpid(), signal.SIGKILL)
erasing.images_erase([case.image_id])
"""


def _manage(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    command = [sys.executable, "manage.py", *arguments]
    environment["DATA_DIR"] = str(data_dir)
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    _manage(tmp_path, "migrate", "--verbosity=0")
    _manage(tmp_path, "seed_review", "--generated", "--cases=2", "--statements=0")
    pictures, mirror = tmp_path / "uploads" / "images", tmp_path / "feedback"
    killed = _manage(tmp_path, "shell", "-v", "0", "-c", ERASE_AND_DIE)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(pictures.rglob("*.jpeg"))) == 2
    assert "my own words" in mirror.read_text()
    finished = _manage(tmp_path, "erase_picture")
    assert finished.stdout == "Interrupted erasures that are finished now: 1\n", finished.stderr
    assert len(list(pictures.rglob("*.jpeg"))) == 1
    assert mirror.read_text() == ""
