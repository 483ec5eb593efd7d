"""`manage.py prepare`: once before the processes of a new release start, wherever they run."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import Error as DatabaseError

from mlsite import preparation
from predictions import classifiers
from worker.inference.repository import RepositoryError


class Command(BaseCommand):
    help = "Creates or updates the tables, takes in the models that come with the release, and says what will answer."
    requires_system_checks = ()  # they ask for a database that this command may have to make first

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--models", type=Path, metavar="FOLDER", help="take in the versions in this folder of models"
        )

    def handle(self, *args: Any, models: Path | None, **options: Any) -> None:
        preparation.prepare_data_folder()
        try:
            preparation.prepare_database(self.say)
            if models is not None:
                classifiers.repository().take_in(models, report=self.say)
            model = preparation.prepare_model(self.say)
        except (RepositoryError, DatabaseError, OSError) as error:
            raise CommandError(f"Cannot prepare: {error}") from error
        self.say(f"Model: {model}")

    def say(self, message: str) -> None:
        self.stdout.write(message)
        self.stdout.flush()
