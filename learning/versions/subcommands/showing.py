"""`manage.py model show`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from typing import Any

from learning.models import Quantization
from learning.versions import description
from learning.versions.description import Fact
from learning.versions.subcommands.subcommand import REFERENCE_HELP, Subcommand
from learning.versions.usage import usage_of
from predictions import classifiers
from worker.inference.repository import ModelVersion, RepositoryError
from worker.inference.repository.errors import first_line


class ShowVersion(Subcommand):
    name = "show"
    help = "print everything about a version"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help=REFERENCE_HELP)

    def run(self, options: Mapping[str, Any]) -> None:
        version = self.repository.find(options["reference"])
        self.stdout.write(str(version))
        is_active = classifiers.active_name() == str(version)
        self._print(
            [
                *description.facts(version, usage_of(str(version)), is_active=is_active),
                Fact("Features", _features(version)),
            ]
        )
        if details := description.details(version):
            self.stdout.write("Details:")
            self._print(details)
        self._print_files(version)
        self._print_measurements(version)
        for problem in version.problems():
            self.stderr.write(str(problem))

    def _print(self, facts: Iterable[Fact]) -> None:
        lines = list(facts)
        width = max(len(fact.title) for fact in lines)
        for fact in lines:
            self.stdout.write(f"  {fact.title:<{width}}  {fact.text}")

    def _print_files(self, version: ModelVersion) -> None:
        self.stdout.write("Files:")
        for file in description.files(version):
            self.stdout.write(f"  {file.name:<11}  {file.size:>10}  SHA-256 {file.sha256}")

    def _print_measurements(self, version: ModelVersion) -> None:
        measured = description.measurements(version)
        if not measured:
            self.stdout.write(f"Measured precision: none. {description.not_measured(version)}")
            for report in Quantization.objects.filter(model_version=str(version)):
                self.stdout.write(f"  Its report has its times: {report.get_absolute_url()}")
            return
        self.stdout.write("Measured precision, in CPU time of an image:")
        rows = [description.MEASUREMENT_TITLES, *measured]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
            self.stdout.write(f"  {'  '.join(cells).rstrip()}")


def _features(version: ModelVersion) -> str:
    # Only here, because it imports OpenVINO, which the other subcommands do not need.
    from worker.inference.graph.head import describe_features

    try:
        return describe_features(version)
    except RepositoryError as error:
        return f"unknown: {error}"
    except RuntimeError as error:
        return f"unknown: OpenVINO cannot read the network: {first_line(error)}"
