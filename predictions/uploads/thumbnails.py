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

SIDE = 320  # pixels of the longer side: twice the 160 on the page, for high-resolution screens
CONTENT_TYPE = "image/webp"

# The folder is named for the size, so that files of another size are never mixed up with these.
FILES = DerivedFiles(f"thumbnails-{SIDE}", "webp")
# Those of earlier versions, which are no longer served. They are deleted with their picture.
EARLIER_FILES = (DerivedFiles("thumbnails", "webp"),)


class NoThumbnail(Exception):
    """The image cannot be decoded."""


def thumbnail(image: Image, *, client: str = "") -> File[bytes]:
    """Returns the stored thumbnail of an image, and makes it if there is none.

    `client`: see `MakingSlots`. Raises `FileNotFoundError` if the image's file is gone, `NoThumbnail` if it cannot be
    decoded, and `RequestRejected` `busy`.
    """
    return FILES.open(image, _shrink, client=client)


def _shrink(content: bytes) -> bytes:
    try:
        small = render(content, max_side=SIDE, max_pixels=settings.UPLOAD_MAX_PIXELS)
    except UndecodableImage as error:
        raise NoThumbnail(str(error)) from error
    result = BytesIO()
    small.save(result, "WEBP", quality=80)
    return result.getvalue()
