"""`manage.py erase_picture`: erases pictures for good."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from predictions import erasing
from predictions.exceptions import RequestRejected
from predictions.models import Image


class Command(BaseCommand):
    help = (
        "Erases pictures: their files and file names, and what people have said about them. Decided cases keep their "
        "label and history. Without arguments it finishes erasures that were interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "pictures", nargs="*", metavar="PICTURE", help="the id of one of its predictions, or its SHA-256"
        )

    def handle(self, *args: Any, pictures: list[str], **options: Any) -> None:
        try:
            images = [_image(picture) for picture in pictures]  # all of them, before the first is erased
            if images:
                erasing.images_erase([image.pk for image in images])
            for picture, image in zip(pictures, images, strict=True):
                self.stdout.write(f"{picture}: erased{' already' if image.is_erased else ''}")
            finished = erasing.erasures_finish()
        except RequestRejected as rejection:
            raise CommandError(rejection.message) from rejection
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}") from error
        if finished:
            self.stdout.write(f"Interrupted erasures that are finished now: {finished}")


def _image(picture: str) -> Image:
    """Raises `CommandError`."""
    try:
        image = Image.objects.filter(predictions=UUID(picture)).first()
    except ValueError:
        image = Image.objects.filter(sha256=picture.lower()).first()
    if image is None:
        raise CommandError(f"There is no picture with this prediction or SHA-256: {picture}")
    return image
