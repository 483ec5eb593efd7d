"""`manage.py model import`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learning.versions.subcommands.subcommand import Subcommand


class Import(Subcommand):
    name = "import"
    help = "copy the versions of another models folder"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)

    def run(self, options: Mapping[str, Any]) -> None:
        self.repository.import_versions(options["folder"], report=self.report)
