"""`manage.py seed_review`: made-up cases, to try the reviewing desk out or to measure it."""

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

LARGE = 2000  # cases; beyond, classifying real photos would take minutes


class Command(BaseCommand):
    help = (
        "Adds made-up cases to this database: real photos that the active model really classifies, or, beyond "
        f"{LARGE} cases, small generated pictures. Nothing takes them out again: use a database for trying out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cases", type=int, default=200, help="default: 200")
        parser.add_argument("--statements", type=int, help="of generated cases; default: five for each")
        parser.add_argument("--photos", type=Path, help="a folder of photos; default: cuts of scikit-image's samples")
        parser.add_argument("--generated", action="store_true", help="generated pictures for few cases too")
        parser.add_argument("--force", action="store_true", help="also where there are cases already")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cases"] < 1:
            raise CommandError("--cases must be at least 1.")
        if Case.objects.exists() and not options["force"]:
            raise CommandError("There are cases already. With --force the made-up ones come beside them, for good.")
        if options["generated"] or options["cases"] > LARGE:
            statements = options["statements"] if options["statements"] is not None else 5 * options["cases"]
            seeding.seed_generated(options["cases"], statements, _reviewer(), self.progress)
        else:
            self.seed_photos(options["cases"], options["photos"])
        self.stdout.write(f"{Case.objects.count()} cases.")

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
    """Whoever decided the generated cases: nobody can log in with it."""
    roles.create_roles()
    reviewer, is_new = User.objects.get_or_create(username="seed", defaults={"is_active": False})
    if is_new:
        reviewer.set_unusable_password()
        reviewer.save()
        reviewer.groups.add(Group.objects.get(name=roles.REVIEWERS))
    return reviewer
