"""`manage.py embeddings --rebuild` is killed and interrupted, and goes on where it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from devtools.processes import running
from devtools.running import ROOT
from worker.inference.repository import Repository

IMAGES = 60


def _environment(data_dir: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    return environment | {"DATA_DIR": str(data_dir)}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


def _manage(data_dir: Path, *arguments: str) -> str:
    options: dict[str, Any] = {"cwd": ROOT, "env": _environment(data_dir), "capture_output": True, "text": True}
    done = subprocess.run(_command(*arguments), check=False, timeout=300, **options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def _stored(data_dir: Path) -> int:
    with closing(sqlite3.connect(data_dir / "db.sqlite3")) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM predictions_embedding").fetchone()
        return int(count)


def test_interrupted_rebuild_goes_on(tmp_path: Path, models: Repository) -> None:
    _manage(tmp_path, "migrate", "--verbosity=0")
    _manage(tmp_path, "seed_review", "--generated", f"--cases={IMAGES}", "--statements=0")
    (tmp_path / "models").symlink_to(models.root)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": _environment(tmp_path)}

    with running(_command("embeddings", "--rebuild"), **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"8 of {IMAGES} images\n"
        process.kill()
        process.wait()
    after_kill = _stored(tmp_path)
    assert 8 <= after_kill < IMAGES

    with running(_command("embeddings", "--rebuild"), **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"8 of {IMAGES - after_kill} images\n"
        assert psutil.Process(process.pid).nice() == 19
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
        assert "Interrupted. Run it again to continue." in process.stdout.read()
    after_interrupt = _stored(tmp_path)
    assert after_kill + 8 <= after_interrupt < IMAGES

    out = _manage(tmp_path, "embeddings", "--rebuild")
    assert f"features of {IMAGES - after_interrupt} images stored, 0 without" in out
    assert _stored(tmp_path) == IMAGES
