"""`manage.py model install`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learning.versions.subcommands.subcommand import Subcommand


class Install(Subcommand):
    name = "install"
    help = "install a model; does nothing if it is already installed"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="efficientnet-lite0, resnet50, ...")
        parser.add_argument("--weights", type=Path, metavar="FILE", help="use the weights in this file")
        parser.add_argument("--activate", action="store_true", help="make it the active version")

    def run(self, options: Mapping[str, Any]) -> None:
        version = self.repository.install(options["name"], weights=options["weights"], report=self.report)
        if options["activate"] or self.repository.active() is None:
            self.activate(str(version))
