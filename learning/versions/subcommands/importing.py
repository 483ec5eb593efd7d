"""`manage.py model import`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learning.versions.subcommands.subcommand import Subcommand


class Import(Subcommand):
    name = "import"
    help = "copy the versions of another models folder, or install a file that `model export` wrote"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="the folder, or the file")

    def run(self, options: Mapping[str, Any]) -> None:
        path: Path = options["path"]
        if path.is_file():
            self.import_file(path)
        else:
            self.repository.import_versions(path, report=self.report)

    def import_file(self, file: Path) -> None:
        """Installs the version in a file that `model export` wrote. It becomes active if no version is."""
        version = self.repository.import_file(file, report=self.report)
        if not self.repository.active_name():
            self.stdout.write(f"{self.repository.activate(str(version), by='manage.py model import')} is active")
