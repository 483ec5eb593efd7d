"""`manage.py model export`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from learning.templatetags.units import file_size
from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand


class ExportVersion(Subcommand):
    name = "export"
    help = "write a version to one file, which `model import` reads on another site"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help=REFERENCE_HELP)
        parser.add_argument("file", type=Path, help="such as own-1.zip; an existing file is replaced")

    def run(self, options: Mapping[str, Any]) -> None:
        file: Path = options["file"]
        if file.exists() and not file.is_file():
            raise CommandError(f"{file} is not a regular file.")
        try:
            version = self.repository.export(options["reference"], file)
        except OSError as error:
            raise CommandError(f"Cannot write {file}: {error.strerror or error}") from error
        self.stdout.write(f"exported {version} to {file}, {file_size(file.stat().st_size)}")
