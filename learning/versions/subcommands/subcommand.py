"""The base class of the subcommands of `manage.py model`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import OutputWrapper

from worker.inference.repository import Repository

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

    def report(self, line: str) -> None:
        """Prints a line at once, even into a pipe."""
        self.stdout.write(line)
        self.stdout.flush()
