"""`manage.py model remove`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from learning.versions import services
from learning.versions.services import VersionIsNamed
from learning.versions.subcommands.subcommand import Subcommand


class Remove(Subcommand):
    name = "remove"
    help = "delete a version that is not active; its number is never given again"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="name@version")
        parser.add_argument("--force", action="store_true", help="even if predictions or cases name it")

    def run(self, options: Mapping[str, Any]) -> None:
        reference = options["reference"]
        if "@" not in reference:
            raise CommandError(f"Say which version of {reference} to remove: {reference}@1, for example.")
        try:
            services.version_remove(reference, force=options["force"], report=self.report)
        except VersionIsNamed as error:
            raise CommandError(f"{error}. --force removes it; they keep their answers.") from error
        self.stdout.write(f"removed {reference}")
