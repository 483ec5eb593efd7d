"""`manage.py seed_review`: adds sample cases, to try the reviewing desk or to measure it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions import classifiers
from review import roles, sample_photos, seeding
from review.models import Case
from worker.inference.engines import EngineError
from worker.inference.repository import RepositoryError

MAX_PHOTOS = 2000  # classifying more would take minutes


class Command(BaseCommand):
    help = (
        "Adds sample cases to this database: photos that the active model classifies or, for more than "
        f"{MAX_PHOTOS} cases, small generated pictures. They cannot be removed: use a database that you can throw away."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cases", type=int, default=200, help="default: 200")
        parser.add_argument(
            "--statements", type=int, help="number of statements on generated cases; default: five per case"
        )
        parser.add_argument("--photos", type=Path, help="folder of photos; default: crops of scikit-image's samples")
        parser.add_argument("--generated", action="store_true", help="use generated pictures for any number of cases")
        parser.add_argument("--force", action="store_true", help="add sample cases even if the database has cases")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cases"] < 1:
            raise CommandError("--cases must be at least 1.")
        if Case.objects.exists() and not options["force"]:
            raise CommandError("The database has cases already. --force adds sample cases; they cannot be removed.")
        if options["generated"] or options["cases"] > MAX_PHOTOS:
            statements = options["statements"] if options["statements"] is not None else 5 * options["cases"]
            seeding.seed_generated(options["cases"], statements, _reviewer(), self.progress)
        else:
            self.seed_photos(options["cases"], options["photos"])
        self.stdout.write(f"The database has {Case.objects.count()} cases.")

    def seed_photos(self, number: int, folder: Path | None) -> None:
        try:
            photos = _photos(number, folder)
            seeding.seed_photos(photos, classifiers.current(), self.progress)
        except (OSError, RepositoryError, EngineError) as error:
            raise CommandError(str(error)) from error

    def progress(self, done: int, of: int) -> None:
        self.stderr.write(f"\r{done} of {of}", ending="" if done < of else "\n")
        sys.stderr.flush()


def _photos(number: int, folder: Path | None) -> list[tuple[str, bytes]]:
    if folder is not None:
        return sample_photos.from_folder(folder)[:number]
    try:
        return sample_photos.samples(number)
    except ImportError as error:
        raise CommandError(
            "The sample photos need scikit-image, which is not installed. Give a folder with --photos, or --generated."
        ) from error


def _reviewer() -> User:
    """Returns the account that decides the generated cases. Nobody can log in with it."""
    roles.create_roles()
    reviewer, is_new = User.objects.get_or_create(username="seed", defaults={"is_active": False})
    if is_new:
        reviewer.set_unusable_password()
        reviewer.save()
        reviewer.groups.add(Group.objects.get(name=roles.REVIEWERS))
    return reviewer
