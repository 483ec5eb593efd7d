"""Small versions of images, for lists.

They are made on the first request, because most pictures never appear in a list, and uploads must stay fast.
"""

from __future__ import annotations

from io import BytesIO

from django.conf import settings
from django.core.files.base import File

from predictions.models import Image
from predictions.uploads.derived_files import DerivedFiles
from worker.inference.rendering import UndecodableImage, render

SIDE = 192  # pixels of the longer side: twice the 96 on the page, for high-resolution screens
CONTENT_TYPE = "image/webp"

FILES = DerivedFiles("thumbnails", "webp")


class NoThumbnail(Exception):
    """The image cannot be decoded."""


def thumbnail(image: Image) -> File[bytes]:
    """Returns the stored thumbnail of an image, and makes it if there is none.

    Raises `FileNotFoundError` if the image's file is gone and `NoThumbnail` if it cannot be decoded.
    """
    return FILES.open(image, _shrink)


def _shrink(content: bytes) -> bytes:
    try:
        small = render(content, max_side=SIDE, max_pixels=settings.UPLOAD_MAX_PIXELS)
    except UndecodableImage as error:
        raise NoThumbnail(str(error)) from error
    result = BytesIO()
    small.save(result, "WEBP", quality=80)
    return result.getvalue()
