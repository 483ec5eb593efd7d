"""`manage.py feedback_mirror --rebuild`: writes the lines that are missing in the mirror."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from feedback import mirror


class Command(BaseCommand):
    help = "Mends the plain text mirror of the feedback from the rows in the database."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rebuild", action="store_true", required=True, help="write the missing lines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            written = mirror.rebuild()
        except OSError as error:
            raise CommandError(f"The mirror cannot be written: {error}") from error
        self.stdout.write(f"{settings.FEEDBACK_FILE}: {written} missing lines written.")
