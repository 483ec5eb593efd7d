"""The pictures that an int8 version is calibrated on and compared on: stored ones, or those of a folder."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import QuerySet

from predictions.models import Image
from review.label_translation import version_translation
from review.models import Case
from review.sample_photos import SUFFIXES
from worker.inference.repository import ModelVersion, RepositoryError

FEWEST = 10  # pictures to calibrate on; with 5 or with 300, an int8 network answers equally well
MOST = 300
MOST_DECIDED = 1000  # pictures whose label reviewers decided


@dataclass(frozen=True)
class SamplePicture:
    """One picture.

    Attributes:
        name: of a file in a folder; empty for a stored picture.
        path: a path, or the name of a stored file.
        image_id: the row of a stored picture.
        label: what reviewers decided that it shows, or empty.
    """

    name: str
    path: str
    image_id: int | None = None
    label: str = ""

    def read(self) -> bytes:
        """Returns the bytes of the file. Raises `OSError`."""
        if self.image_id is None:
            return Path(self.path).read_bytes()
        with default_storage.open(self.path) as file:
            content: bytes = file.read()
        return content


def stored_pictures(seed: int) -> list[SamplePicture]:
    """Returns at most `MOST` of the stored pictures, drawn at random. The same seed draws the same ones.

    Raises:
        RepositoryError: there are fewer than `FEWEST`.
    """
    rows = _drawn(Image.objects.filter(erased_at__isnull=True), MOST, seed).values_list("pk", "file")
    found = [SamplePicture("", file, pk) for pk, file in rows]
    if len(found) < FEWEST:
        raise RepositoryError(
            f"{len(found)} pictures are stored, and at least {FEWEST} are needed to calibrate: "
            "name a folder of pictures with --calibrate FOLDER"
        )
    return found


def folder_pictures(folder: Path, seed: int) -> list[SamplePicture]:
    """Returns at most `MOST` of the pictures in a folder and those below it, drawn at random.

    Raises:
        RepositoryError: there are fewer than `FEWEST`.
        OSError: the folder cannot be read.
    """
    if not folder.is_dir():
        raise RepositoryError(f"{folder} is not a folder")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if len(files) < FEWEST:
        raise RepositoryError(f"{folder} has {len(files)} pictures, and at least {FEWEST} are needed to calibrate")
    chosen = sorted(_random(seed).sample(files, min(MOST, len(files))))
    return [SamplePicture(_printable(path.relative_to(folder)), str(path)) for path in chosen]


def _printable(path: Path) -> str:
    """The path as text, also if its bytes are not UTF-8."""
    return str(path).encode(errors="replace").decode()


def decided_pictures(version: ModelVersion, seed: int) -> list[SamplePicture]:
    """Returns at most `MOST_DECIDED` of the stored pictures that reviewers decided on, drawn at random.

    Their label is the decided one in the words of `version`. Pictures whose label it does not have are left out.
    """
    known = {label.display_name for label in version.labels}
    translation = version_translation(version)
    verdicts = (Case.Outcome.RIGHT, Case.Outcome.CORRECTED)
    images = Image.objects.filter(erased_at__isnull=True, case__state=Case.State.DECIDED, case__verdict__in=verdicts)
    found = []
    for image in _drawn(images, MOST_DECIDED, seed).select_related("case"):
        case = image.case
        words = (
            (case.label,)
            if translation is None
            else translation.words(case.label, case.model_version, case.label_set_id)
        )
        if len(words) == 1 and words[0] in known:
            found.append(SamplePicture("", image.file.name, image.pk, words[0]))
    return found


def _drawn(images: QuerySet[Image, Any], number: int, seed: int) -> QuerySet[Image, Any]:
    """Narrows images to `number` of them, drawn at random."""
    keys = list(images.order_by("pk").values_list("pk", flat=True))
    return Image.objects.filter(pk__in=_random(seed).sample(keys, min(number, len(keys)))).order_by("pk")


def _random(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - for a sample, not for secrets
