"""`manage.py model activate`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand


class Activate(Subcommand):
    name = "activate"
    help = "make this version the active one"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help=REFERENCE_HELP)

    def run(self, options: Mapping[str, Any]) -> None:
        self.stdout.write(f"{self.repository.activate(options['reference'])} is active")
