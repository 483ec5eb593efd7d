"""Small versions of images, for lists.

They are made on the first request, because most pictures never appear in a list, and uploads must stay fast.
"""

from __future__ import annotations

import threading
from io import BytesIO

import PIL.Image
import PIL.ImageOps
from django.conf import settings
from django.core.files.base import ContentFile, File

from predictions.models import Image
from worker.inference.preprocessing import in_8_bit

SIDE = 192  # pixels of the longer side: twice the 96 on the page, for high-resolution screens
CONTENT_TYPE = "image/webp"

# One at a time in a process: a list requests fifty at once, and making one can take hundreds of megabytes.
_making = threading.Lock()


class NoThumbnail(Exception):
    """The image cannot be decoded."""


def stored_name(image: Image) -> str:
    return f"thumbnails/{image.sha256[:2]}/{image.sha256}.webp"


def thumbnail(image: Image) -> File[bytes]:
    """Returns the stored thumbnail of an image, and makes it if there is none.

    Raises `FileNotFoundError` if the image's file is gone and `NoThumbnail` if it cannot be decoded.
    """
    storage, name = image.file.storage, stored_name(image)
    if not storage.exists(name):
        with _making:
            if not storage.exists(name):  # another thread may have made it meanwhile
                with image.file.open("rb") as file:
                    storage.save(name, ContentFile(_shrink(file.read())))
                if not storage.exists(str(image.file.name)):  # erased meanwhile; see `stored_files.delete`
                    storage.delete(name)
    return storage.open(name)


def _shrink(content: bytes) -> bytes:
    try:
        with PIL.Image.open(BytesIO(content), formats=list(Image.Format)) as picture:
            if picture.width * picture.height > settings.UPLOAD_MAX_PIXELS:
                raise NoThumbnail
            picture.draft("RGB", (SIDE, SIDE))  # lets a JPEG be decoded at an eighth, quarter or half of its size
            small = in_8_bit(picture)
            small.thumbnail((SIDE, SIDE))
            small = PIL.ImageOps.exif_transpose(small)  # last: it copies
            result = BytesIO()
            small.convert("RGBA" if small.has_transparency_data else "RGB").save(result, "WEBP", quality=80)
            return result.getvalue()
    except NoThumbnail:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise many kinds of errors on corrupt bytes
        raise NoThumbnail(str(error)) from error
