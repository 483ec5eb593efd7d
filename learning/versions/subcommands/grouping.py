"""`manage.py model group`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand
from worker.inference.grouping import install_group


class Group(Subcommand):
    name = "group"
    help = "make a version whose labels are groups of another version's labels, without training"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the new version, such as pets")
        parser.add_argument("--base", required=True, metavar="REFERENCE", help=f"what is grouped: {REFERENCE_HELP}")
        parser.add_argument(
            "--labels", required=True, type=Path, metavar="FILE", help="CSV with the columns: label, base label"
        )
        parser.add_argument("--activate", action="store_true", help="make it the active version")

    def run(self, options: Mapping[str, Any]) -> None:
        version = install_group(
            self.repository, options["name"], base=options["base"], file=options["labels"], report=self.report
        )
        if options["activate"]:
            self.activate(str(version))
