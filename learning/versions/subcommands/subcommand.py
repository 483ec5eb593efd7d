"""The base class of the subcommands of `manage.py model`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import OutputWrapper

from learning.versions import services
from worker.inference.repository import ModelVersion, Repository

NOTHING_INSTALLED = "No model is installed. Install one with: manage.py model install NAME"
REFERENCE_HELP = "name@version, or a name for its newest version"


class Subcommand:
    """One subcommand. A `RepositoryError` or an `OSError` that it raises is reported in one line."""

    name: ClassVar[str]
    help: ClassVar[str]

    def __init__(self, repository: Repository, stdout: OutputWrapper, stderr: OutputWrapper) -> None:
        self.repository = repository
        self.stdout = stdout
        self.stderr = stderr

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Declares the arguments. By default there are none."""

    def run(self, options: Mapping[str, Any]) -> None:
        """Executes the subcommand with the parsed arguments."""
        raise NotImplementedError

    def activate(self, reference: str) -> None:
        """Activates a version, as the pages for leads do."""
        self.report_active(services.version_activate(reference, by=f"manage.py model {self.name}"))

    def offer(self, version: ModelVersion, *, activate: bool) -> None:
        """Activates a new version if that is wanted or no version is active, and otherwise says how to."""
        active = self.repository.active_name()
        if not activate and not active:
            try:
                services.check_loadable(version)
            except services.VersionNotLoadable as error:
                self.report(str(error))
                return
            activate = True
        if activate:
            self.activate(str(version))
        elif str(version) != active:
            self.report(f"to use it: manage.py model activate {version}")

    def report_active(self, version: ModelVersion) -> None:
        """Says that a version is active, and what leads may not expect about that."""
        self.stdout.write(f"{version} is active")
        if warning := services.processor_warning(version):
            self.stderr.write(warning)
        try:
            services.check_activation_counts()
        except services.ModelSetInEnvironment as error:
            self.stderr.write(str(error))

    def report(self, line: str) -> None:
        """Prints a line at once, even into a pipe."""
        self.stdout.write(line)
        self.stdout.flush()
