"""The picture that people see on pages: what the model saw, at a size for screens, without metadata.

Browsers apply fewer orientations than the model, play animations, put transparent pixels on the page's colour, and do
not show all formats. A copy is made of every picture of which that could matter, and of large ones. The uploaded file
is served only if it is a small JPEG or PNG that holds nothing but the pixels.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from io import BytesIO

from django.conf import settings
from django.core.cache import cache
from django.core.files.base import File

from predictions.models import Image
from predictions.uploads.derived_files import DerivedFiles
from predictions.uploads.metadata import without_metadata
from worker.inference.iso_media import SEQUENCE_BRANDS, is_iso_image, major_brand
from worker.inference.opening import open_image
from worker.inference.rendering import UndecodableImage, render

MAX_SIDE = 1600  # pixels; a full-screen picture on most screens
MAX_BYTES = 500_000  # of a file that is served as it was sent

# Small copies are cheap, and show drawings and noise more exactly.
_QUALITY, _QUALITY_OF_SMALL, _SMALL_PIXELS = 90, 95, 500_000

KEPT_SECONDS = 3600  # how long a process remembers which pictures have several frames

FILES = DerivedFiles("display", "jpg")

_looking_for_frames = threading.Lock()


class NoPicture(Exception):
    """The image cannot be decoded."""


@dataclass(frozen=True)
class DisplayPicture:
    """An open file and its content type."""

    file: File[bytes]
    content_type: str


def display_picture(image: Image, *, client: str = "") -> DisplayPicture:
    """Returns the picture to show: the stored file if it is small and simple, or else a copy, made if there is none.

    `client`: see `MakingSlots`. Raises `FileNotFoundError` if the image's file is gone, `NoPicture` if it cannot
    be decoded, and `RequestRejected` `busy`.
    """
    if max(image.width, image.height) <= MAX_SIDE and image.byte_size <= MAX_BYTES:
        with image.file.open("rb") as file:
            content: bytes = file.read()
        if is_simple(content):
            # Not what was read: the web server sends an open file without holding it in memory.
            return DisplayPicture(image.file.open("rb"), image.content_type)
    return DisplayPicture(FILES.open(image, _copy, client=client), "image/jpeg")


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


def has_several_frames(image: Image) -> bool:
    """Whether the stored file is an animation, or has several pages. The model sees the first."""
    if image.format in {Image.Format.JPEG, Image.Format.BMP}:  # a JPEG's other pictures are previews of the first
        return False
    key = f"frames:{image.sha256}"
    known = cache.get(key)
    if known is not None:
        return bool(known)
    # Pillow looks for a second frame in the whole file, which takes seconds for one that is made for it. So one thread
    # looks at a time, and those that have waited for it find its result.
    with _looking_for_frames:
        return bool(cache.get_or_set(key, lambda: _has_frames(image), KEPT_SECONDS))


def _has_frames(image: Image) -> bool:
    try:
        with image.file.open("rb") as file:
            content = file.read()
        if is_iso_image(content):
            return major_brand(content) in SEQUENCE_BRANDS
        with open_image(content) as opened:
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
