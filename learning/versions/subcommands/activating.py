"""`manage.py model activate` and `manage.py model rollback`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from learning.versions import services
from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand
from worker.inference.repository import ModelVersion


class Activate(Subcommand):
    name = "activate"
    help = "make this version the active one"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help=REFERENCE_HELP)

    def run(self, options: Mapping[str, Any]) -> None:
        self.report_active(self.repository.activate(options["reference"], by="manage.py model activate"))

    def report_active(self, version: ModelVersion) -> None:
        self.stdout.write(f"{version} is active")
        try:
            services.check_activation_counts()
        except services.ModelSetInEnvironment as error:
            self.stderr.write(str(error))


class Rollback(Activate):
    name = "rollback"
    help = "activate the version that was active before"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """There are none."""

    def run(self, options: Mapping[str, Any]) -> None:
        self.report_active(self.repository.rollback(by="manage.py model rollback"))
