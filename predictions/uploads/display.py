"""The picture that people see on pages: what the model saw, at a size for screens, without metadata.

Browsers apply fewer orientations than the model, play animations and put transparent pixels on the page's colour. A
copy is made of every picture of which that could matter, and of large ones. An uploaded file that has metadata, or that
people would see differently from the model, is never served.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import PIL.Image
from django.conf import settings
from django.core.files.base import ContentFile, File

from predictions.models import Image
from predictions.uploads.derived_files import DerivedFiles
from predictions.uploads.metadata import without_metadata
from worker.inference.rendering import UndecodableImage, open_image, render

MAX_SIDE = 1600  # pixels; a full-screen picture on most screens
MAX_BYTES = 500_000  # of a file that is served as it was sent

# Small copies are cheap, and show drawings and noise more exactly.
_QUALITY, _QUALITY_OF_SMALL, _SMALL_PIXELS = 90, 95, 500_000

FILES = DerivedFiles("display", "jpg")


class NoPicture(Exception):
    """The image cannot be decoded."""


@dataclass(frozen=True)
class DisplayPicture:
    """An open file and its content type."""

    file: File[bytes]
    content_type: str


def display_picture(image: Image) -> DisplayPicture:
    """Returns the picture to show: the stored file if it is small and simple, or else a copy, made if there is none.

    Raises `FileNotFoundError` if the image's file is gone and `NoPicture` if it cannot be decoded.
    """
    if max(image.width, image.height) <= MAX_SIDE and image.byte_size <= MAX_BYTES:
        with image.file.open("rb") as file:
            content: bytes = file.read()
        if is_simple(content):
            return DisplayPicture(ContentFile(content), image.content_type)
    return DisplayPicture(FILES.open(image, _copy), "image/jpeg")


def is_simple(content: bytes) -> bool:
    """Whether the file holds nothing but the pixels of one opaque sRGB picture, which everybody decodes alike."""
    if without_metadata(content) != content:
        return False
    try:
        with open_image(content) as image:
            is_shallow = image.format != "PNG" or content[24] <= 8  # bits a channel
            return is_shallow and image.mode in {"1", "L", "P", "RGB"}
    except Exception:  # noqa: BLE001 - Pillow raises many kinds of errors on corrupt bytes
        return False


def is_animation(image: Image) -> bool:
    """Whether the stored file has several frames, of which the model sees the first."""
    if image.format == Image.Format.JPEG:
        return False
    try:
        with image.file.open("rb") as file, PIL.Image.open(file, formats=[image.format]) as opened:
            return bool(getattr(opened, "is_animated", False))
    except Exception:  # noqa: BLE001 - Pillow raises many kinds of errors on corrupt bytes
        return False


def _copy(content: bytes) -> bytes:
    try:
        picture = render(content, max_side=MAX_SIDE, max_pixels=settings.UPLOAD_MAX_PIXELS)
    except UndecodableImage as error:
        raise NoPicture(str(error)) from error
    result = BytesIO()
    quality = _QUALITY_OF_SMALL if picture.width * picture.height <= _SMALL_PIXELS else _QUALITY
    picture.save(result, "JPEG", quality=quality, subsampling=0)
    return result.getvalue()
