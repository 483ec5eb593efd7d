"""`manage.py model verify`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from learning.versions.subcommands.subcommand import NOTHING_INSTALLED, REFERENCE_HELP, Subcommand


class Verify(Subcommand):
    name = "verify"
    help = "check every file; exit code 1 if one is damaged or missing"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", nargs="?", help=REFERENCE_HELP)

    def run(self, options: Mapping[str, Any]) -> None:
        problems = self.repository.verify(options["reference"])
        for problem in problems:
            self.stderr.write(str(problem))
        if problems:
            raise CommandError(f"Problems found: {len(problems)}", returncode=1)
        self.stdout.write("All files are intact." if self.repository.versions() else NOTHING_INSTALLED)
