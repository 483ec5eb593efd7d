"""Where a run of benchmarks keeps its files: a temporary folder, and a cache for what takes long to make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from stress import photos
from stress.bench.processes import ROOT
from worker.inference.repository import Repository

MODEL = "efficientnet-lite0"
PREPARE = "from mlsite import preparation; preparation.prepare_static_files(print)"


class Workspace:
    """`temporary` is emptied by whoever made it, `cache` stays for the next run."""

    def __init__(self, temporary: Path, cache: Path, photo_count: int) -> None:
        self._temporary = temporary
        self._cache = cache
        self._photo_count = photo_count

    def say(self, line: str) -> None:
        """What is being done, beside the figures: to standard error."""
        sys.stderr.write(f"  {line}\n")
        sys.stderr.flush()

    def folder(self, name: str) -> Path:
        """A new and empty one."""
        path = self._temporary / name
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
        return path

    @cached_property
    def photos(self) -> list[Path]:
        """Distinct JPEGs of 470 x 400 pixels and about 110 kB."""
        return photos.typical(self._cache / "photos", self._photo_count)

    @cached_property
    def models(self) -> Path:
        """The folder of a repository in which the default model is installed and active."""
        folder = self._cache / "models"
        if Repository(folder).active() is None:
            self.say(f"installing {MODEL}")
            # In a process of its own: TensorFlow, which builds it, is big and stays loaded.
            self.manage("model", "install", MODEL, "--activate", data_dir=self._cache)
        return folder

    @cached_property
    def template(self) -> Path:
        """A data folder with the tables and the static files of a site, for those who start many of them."""
        folder = self.folder("template")
        self.manage("migrate", "--verbosity", "0", data_dir=folder)
        # As `manage.py up` would at its first start, which this saves.
        self.manage("shell", "--verbosity", "0", "-c", PREPARE, data_dir=folder)
        return folder

    def site_folder(self, name: str) -> Path:
        """A new data folder for a site, with the model in it."""
        folder = self.folder(name)
        shutil.copytree(self.models, folder / "models")
        return folder

    def manage(self, *arguments: str, data_dir: Path, **settings: str) -> None:
        """`manage.py` on a data folder, with these settings. Raises `RuntimeError` with what it complained of."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(  # noqa: S603 - our own command line
            command, cwd=ROOT, env=os.environ | site_environment(data_dir) | settings, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")


def site_environment(data_dir: Path) -> dict[str, str]:
    """What a command of the site needs to be told where nobody has started it with `up`."""
    return {"DATA_DIR": str(data_dir), "SECRET_KEY": "for benchmarks only", "HTTPS": "false"}
