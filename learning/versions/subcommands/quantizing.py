"""`manage.py model quantize`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from learning.models import Quantization
from learning.templatetags.units import milliseconds
from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand
from worker.inference.engines import EngineError


class Quantize(Subcommand):
    name = "quantize"
    help = "make an int8 version of a version, and compare the two; activates nothing"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help=REFERENCE_HELP)
        parser.add_argument(
            "--calibrate", type=Path, metavar="FOLDER", help="pictures to calibrate on (default: stored ones)"
        )

    def run(self, options: Mapping[str, Any]) -> None:
        from learning.quantizing.services import quantize  # OpenVINO is of use to no other subcommand

        try:
            quantization = quantize(
                self.repository, options["reference"], folder=options["calibrate"], report=self.report
            )
        except EngineError as error:
            raise CommandError(str(error)) from error
        self._show(quantization)

    def _show(self, quantization: Quantization) -> None:
        self.stdout.write("      CPU time per picture  same answer as f32  right")
        for row in quantization.rows:
            right = "–" if row.accuracy is None else f"{row.accuracy:.1%} of {quantization.labelled:,}"
            same = f"{row.agreement:.1%} of {row.compared:,}"
            self.stdout.write(f"{row.name:<5} {milliseconds(row.milliseconds):>20}  {same:>18}  {right}")
        self.stdout.write(f"The pictures whose answer changes: {quantization.get_absolute_url()}")
        self.stdout.write(f"Nothing was activated. To use it: manage.py model activate {quantization.model_version}")
