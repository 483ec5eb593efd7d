"""Makes the reference images of a version from a folder of labelled pictures, and checks those of others."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, islice
from pathlib import Path

from worker.inference.importing.checking import MAX_FILE_BYTES, LabelledPicture
from worker.inference.importing.errors import ImportRefused
from worker.inference.opening import open_image
from worker.inference.rendering import UndecodableImage, render
from worker.inference.repository.reference_images import (
    MAX_IMAGES,
    MAX_SIDE,
    InvalidReferences,
    ReferenceImages,
)

MAX_TOTAL_BYTES = 1_000_000_000
MAX_TOTAL_IMAGES = 60_000  # more would need the zip format for large files

_QUALITY = 80


def write_references(pictures: Sequence[LabelledPicture], file: Path, report: Callable[[str], None]) -> None:
    """Writes `references.zip`, with the first pictures of each label as small JPEGs.

    Args:
        pictures: those of a label in the order of their names; see `checking.find_pictures`.
        report: called with one line for each picture that is left out, and one at the end.

    Raises:
        ImportRefused: none of the pictures can be read, or together they are too large.
        OSError: the file cannot be written.
    """
    written = labels = size = 0
    with zipfile.ZipFile(file, "x", zipfile.ZIP_STORED) as archive:
        for label, of_label in groupby(sorted(pictures, key=_label), key=_label):
            images = _images(islice(of_label, MAX_IMAGES), report)
            for number, content in enumerate(images, 1):
                archive.writestr(zipfile.ZipInfo(f"{label}/{number}.jpg"), content)
            written, labels = written + len(images), labels + bool(images)
            size += sum(len(content) for content in images)
            if written > MAX_TOTAL_IMAGES or size > MAX_TOTAL_BYTES:
                raise ImportRefused(
                    f"the reference images are more than {MAX_TOTAL_IMAGES:,}, or larger than {MAX_TOTAL_BYTES:,} bytes"
                )
    if not written:
        raise ImportRefused("none of the reference images is a picture that can be read")
    report(f"reference images: {written:,} for {labels:,} labels")


def check_references(file: Path, classes: int) -> None:
    """Checks the `references.zip` of a version that another site has exported.

    Raises:
        ImportRefused: a browser cannot show all of its images, or needs more than they may have.
        OSError: the file cannot be read.
    """
    try:
        images = ReferenceImages("", file, classes)
        for position in images.positions:
            for number in range(1, images.count(position) + 1):
                _check_image(images.read(position, number))
    except InvalidReferences as error:
        raise ImportRefused(f"{file.name} cannot be used: {error}") from error


def _label(picture: LabelledPicture) -> int:
    return picture.label


def _images(pictures: Iterable[LabelledPicture], report: Callable[[str], None]) -> list[bytes]:
    images = []
    for picture in pictures:
        try:
            with picture.path.open("rb") as file:
                images.append(_small(file.read(MAX_FILE_BYTES)))
        except (UndecodableImage, OSError) as error:
            report(f"reference images: {picture.path} is left out: {error}")
    return images


def _small(data: bytes) -> bytes:
    small = render(data, max_side=MAX_SIDE)
    result = io.BytesIO()
    small.save(result, "JPEG", quality=_QUALITY)
    return result.getvalue()


def _check_image(content: bytes) -> None:
    try:
        with open_image(content) as image:
            is_usable = image.format == "JPEG" and max(image.size) <= MAX_SIDE
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds of errors on corrupt bytes
        raise InvalidReferences("one of its files is no picture") from error
    if not is_usable:
        raise InvalidReferences(f"one of its files is no JPEG of at most {MAX_SIDE} pixels")
