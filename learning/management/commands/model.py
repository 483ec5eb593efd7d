"""`manage.py model`: everything that is done to model versions in `MODELS_DIR`. See `learning.versions.subcommands`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import Error as DatabaseError

from learning.versions.subcommands import SUBCOMMANDS
from predictions import classifiers
from worker.inference.repository import RepositoryError

INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended


class Command(BaseCommand):
    help = "Install, import, export, list, verify, measure, activate and remove models."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for subcommand in SUBCOMMANDS:
            subcommand.add_arguments(actions.add_parser(subcommand.name, help=subcommand.help))

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        chosen = next(subcommand for subcommand in SUBCOMMANDS if subcommand.name == action)
        try:
            chosen(classifiers.repository(), self.stdout, self.stderr).run(options)
        except (RepositoryError, OSError) as error:  # OSError: a folder cannot be read
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            hint = "; the disk may be full" if "disk I/O error" in str(error) else ""
            raise CommandError(f"The database cannot be used: {error}{hint}") from error
        except KeyboardInterrupt as error:
            message = "Interrupted: nothing was installed beyond what is reported above."
            raise CommandError(message, returncode=INTERRUPTED) from error
