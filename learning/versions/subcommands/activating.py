"""`manage.py model activate` and `manage.py model rollback`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from learning.versions import services
from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand


class Activate(Subcommand):
    name = "activate"
    help = "make this version the active one"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help=REFERENCE_HELP)

    def run(self, options: Mapping[str, Any]) -> None:
        self.activate(options["reference"])


class Rollback(Subcommand):
    name = "rollback"
    help = "activate the version that was active before"

    def run(self, options: Mapping[str, Any]) -> None:
        self.report_active(services.version_rollback(by="manage.py model rollback"))
