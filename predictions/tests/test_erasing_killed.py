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

DELETE_AND_DIE = """
import os, signal
from predictions import erasing
from predictions.uploads import stored_files

delete, deleted = stored_files.delete, []

def delete_or_die(image):
    if len(deleted) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    delete(image)
    deleted.append(image)

stored_files.delete = delete_or_die
erasing.sent_pictures_delete("a" * 64, limit=100)
"""

DELETE = """
from predictions import erasing
print(erasing.sent_pictures_delete("a" * 64, limit=100).total())
"""

SENT = "from predictions.models import Prediction; Prediction.objects.update(sender='a' * 64)"


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


def test_killed_deletion_of_a_history_is_repeated(tmp_path: Path) -> None:
    """It is killed when the rows of the third picture are erased, and its file is not."""
    _manage(tmp_path, "migrate", "--verbosity=0")
    _manage(tmp_path, "seed_review", "--generated", "--cases=6", "--statements=0")
    _manage(tmp_path, "shell", "-v", "0", "-c", SENT)
    pictures = tmp_path / "uploads" / "images"
    killed = _manage(tmp_path, "shell", "-v", "0", "-c", DELETE_AND_DIE)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list(pictures.rglob("*.jpeg"))) == 4
    finished = _manage(tmp_path, "shell", "-v", "0", "-c", DELETE)
    assert finished.stdout == "3\n", finished.stderr
    assert list(pictures.rglob("*.jpeg")) == []
