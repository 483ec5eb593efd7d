"""`manage.py feedback_mirror`: writes the mirror again from the rows."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feedback import mirror


class Command(BaseCommand):
    help = (
        "Writes the feedback mirror (FEEDBACK_FILE) again from the database. If the file changes, the previous one is "
        "kept beside it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            lines, previous = mirror.rebuild()
        except OSError as error:
            raise CommandError(f"The mirror cannot be written: {error}") from error
        self.stdout.write(f"{settings.FEEDBACK_FILE}: {lines} lines.")
        if previous:
            self.stdout.write(f"The previous file is kept as {previous}.")
