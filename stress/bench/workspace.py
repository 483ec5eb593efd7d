"""The files of a run of benchmarks: a temporary folder, and a cache for the model and the photos."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from devtools.running import ROOT
from stress import photos
from worker.inference.repository import Repository

MODEL = "efficientnet-lite0"
PREPARE = "from mlsite import preparation; preparation.prepare_static_files(print)"

T = TypeVar("T")
R = TypeVar("R")


class Workspace:
    """Makes temporary folders, data folders and photos.

    The caller removes the folder `temporary`; `cache` stays for the next run.
    """

    def __init__(self, temporary: Path, cache: Path, photo_count: int) -> None:
        self._temporary = temporary
        self._cache = cache
        self._photo_count = photo_count

    def say(self, line: str) -> None:
        """Reports progress on standard error."""
        sys.stderr.write(f"  {line}\n")
        sys.stderr.flush()

    def rounds(self, count: int, cases: Iterable[T], measure: Callable[[T], R], label: str = "{}") -> dict[T, list[R]]:
        """Measures each case once in every round, so that a slow minute of the machine affects all of them."""
        found: dict[T, list[R]] = {case: [] for case in cases}
        for number in range(count):
            for case, results in found.items():
                self.say(f"round {number + 1} of {count}: {label.format(case)}")
                results.append(measure(case))
        return found

    def folder(self, name: str) -> Path:
        """Makes an empty temporary folder."""
        path = self._temporary / name
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
        return path

    @cached_property
    def photos(self) -> list[Path]:
        """Files of distinct JPEGs, 470 x 400 pixels and about 110 kB each."""
        return photos.typical(self._cache / "typical-photos", self._photo_count)

    @cached_property
    def models(self) -> Path:
        """The folder of a model repository in which the default model is installed and active."""
        folder = self._cache / "models"
        if Repository(folder).active() is None:
            self.say(f"installing {MODEL}")
            # In another process, because TensorFlow, which builds the model, is large and stays loaded.
            self.manage("model", "install", MODEL, "--activate", data_dir=self._cache)
        return folder

    @cached_property
    def template(self) -> Path:
        """A data folder with a site's tables and static files, to be copied where many sites are started."""
        folder = self.folder("template")
        self.manage("migrate", "--verbosity", "0", data_dir=folder)
        # `manage.py up` would do this at its first start.
        self.manage("shell", "--verbosity", "0", "-c", PREPARE, data_dir=folder)
        return folder

    def site_folder(self, name: str) -> Path:
        """Makes a data folder for a site, with tables, static files and the model."""
        folder = self.folder(name) / "data"
        shutil.copytree(self.template, folder)
        (folder / "models").symlink_to(self.models)
        return folder

    def manage(self, *arguments: str, data_dir: Path, **settings: str) -> None:
        """Runs `manage.py` on a data folder, with these settings. Raises `RuntimeError` with its errors."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(  # noqa: S603 - our own command line
            command, cwd=ROOT, env=os.environ | site_environment(data_dir) | settings, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")


def site_environment(data_dir: Path) -> dict[str, str]:
    """Returns the settings that a command of the site needs outside `manage.py up`."""
    return {"DATA_DIR": str(data_dir), "SECRET_KEY": "for benchmarks only", "HTTPS": "false"}
