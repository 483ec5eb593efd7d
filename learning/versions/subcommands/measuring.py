"""`manage.py model measure`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from learning.templatetags.units import milliseconds
from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand
from predictions import precision
from predictions.models import PrecisionMeasurement


class Measure(Subcommand):
    name = "measure"
    help = "measure a version in f32 and bf16 on this machine, in place of an earlier measurement"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help=REFERENCE_HELP)

    def run(self, options: Mapping[str, Any]) -> None:
        version = self.repository.get(options["reference"])
        if version.manifest.precision != precision.F32:
            raise CommandError(f"{version} has {version.manifest.precision} weights, so there is nothing to choose.")
        measured = precision.measure(version)
        if measured.failed:
            raise CommandError(f"bf16 {measured.objection}. Workers here compute {version} in f32.", returncode=1)
        self._show(measured)

    def _show(self, measured: PrecisionMeasurement) -> None:
        reason = f", because bf16 {measured.objection}" if measured.objection else ""
        self.stdout.write(f"{measured.model_version} on {measured.processor}")
        self.stdout.write("      CPU time per image  same label as f32")
        self.stdout.write(f"f32   {milliseconds(measured.f32_ms):>18}")
        same = f"{measured.images - measured.flips} of {measured.images}"
        self.stdout.write(f"bf16  {milliseconds(measured.bf16_ms):>18}  {same:>17}")
        self.stdout.write(f"Chosen: {measured.chosen}{reason}.")
        if settings.PRECISION == precision.AUTO:
            self.stdout.write("Workers use the result when they load the version the next time.")
        else:
            self.stdout.write(f"Workers compute in {settings.PRECISION}, because PRECISION is set to that.")
