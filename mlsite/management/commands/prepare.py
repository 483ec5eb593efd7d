"""`manage.py prepare`: run it once before the processes of a new release start."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import Error as DatabaseError

from learning.versions.services import check_loadable
from mlsite import preparation
from predictions import classifiers
from worker.inference.repository import RepositoryError


class Command(BaseCommand):
    help = "Creates or updates the tables, imports the models that come with the release, and prints the active one."
    requires_system_checks = ()  # they need a database, which this command may have to create

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--models", type=Path, metavar="FOLDER", help="import the model versions in this folder")
        parser.add_argument(
            "--only-static-files",
            action="store_true",
            help="only collect and compress the static files, for the build of an image",
        )

    def handle(self, *args: Any, models: Path | None, only_static_files: bool, **options: Any) -> None:
        if only_static_files:
            preparation.prepare_static_files(self.say)
            return
        preparation.prepare_data_folder()
        try:
            preparation.prepare_permissions(self.say)
            preparation.prepare_identity_key()
            preparation.prepare_database(self.say)
            if models is not None:
                classifiers.repository().import_versions(models, check=check_loadable, report=self.say)
            model = preparation.prepare_model(self.say)
        except (RepositoryError, DatabaseError, OSError) as error:
            raise CommandError(f"Cannot prepare: {error}") from error
        self.say(f"Model: {model}")

    def say(self, message: str) -> None:
        self.stdout.write(message)
        self.stdout.flush()
