"""`manage.py model` installs, lists, verifies and activates model versions in `MODELS_DIR`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from worker.inference.repository import Repository, RepositoryError
from worker.management import model_import

NOTHING_INSTALLED = "No model is installed. Install one with: manage.py model install NAME"


class Command(BaseCommand):
    help = "Install, list, verify and activate models."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        install: ArgumentParser = actions.add_parser(
            "install", help="install a model; does nothing if it is already installed"
        )
        install.add_argument("name", help="efficientnet-lite0, resnet50, ...")
        install.add_argument("--weights", type=Path, metavar="FILE", help="use the weights in this file")
        install.add_argument("--activate", action="store_true", help="make it the active version")
        model_import.add_arguments(
            actions.add_parser("import", help="install a network from a file, or copy the versions of a models folder")
        )
        actions.add_parser("list", help="list the installed versions; * marks the active one")
        verify = actions.add_parser("verify", help="check every file; exit code 1 if one is damaged or missing")
        verify.add_argument("reference", nargs="?", help="name@version, or a name for its newest version")
        activate = actions.add_parser("activate", help="make this version the active one")
        activate.add_argument("reference", help="name@version, or a name for its newest version")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        repository = Repository(settings.MODELS_DIR)
        try:
            match action:
                case "install":
                    self.install(repository, options["name"], options["weights"], options["activate"])
                case "import":
                    model_import.run(repository, options, self.report)
                case "list":
                    self.show(repository)
                case "verify":
                    self.verify(repository, options["reference"])
                case "activate":
                    self.stdout.write(f"{repository.activate(options['reference'])} is active")
        except (RepositoryError, OSError) as error:  # OSError: a folder cannot be read
            raise CommandError(str(error)) from error

    def install(self, repository: Repository, name: str, weights: Path | None, activate: bool) -> None:
        version = repository.install(name, weights=weights, report=self.report)
        if activate or repository.active() is None:
            self.stdout.write(f"{repository.activate(str(version))} is active")

    def report(self, line: str) -> None:
        """Prints a line at once, even into a pipe."""
        self.stdout.write(line)
        self.stdout.flush()

    def show(self, repository: Repository) -> None:
        versions = repository.versions()
        if not versions:
            self.stdout.write(NOTHING_INSTALLED)
            return
        active = repository.active()
        width = max(len(str(version)) for version in versions)
        for version in versions:
            mark = "*" if version == active else " "
            megabytes = version.size_on_disk / 1e6
            reference = version.manifest.source.reference
            self.stdout.write(f"{mark} {version!s:<{width}}  {megabytes:7.1f} MB  {reference}")

    def verify(self, repository: Repository, reference: str | None) -> None:
        problems = repository.verify(reference)
        for problem in problems:
            self.stderr.write(str(problem))
        if problems:
            raise CommandError(f"Problems found: {len(problems)}", returncode=1)
        self.stdout.write("All files are intact." if repository.versions() else NOTHING_INSTALLED)
