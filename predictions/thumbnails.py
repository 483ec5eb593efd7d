"""Small versions of images for lists. Made when first looked at: most pictures never are, and uploads stay fast."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import PIL.ImageOps
from django.conf import settings
from django.core.files.base import ContentFile, File

from predictions.models import Image

SIDE = 192  # pixels of the longer side: 96 on the page, sharp on screens with two device pixels to one
CONTENT_TYPE = "image/webp"


class NoThumbnail(Exception):
    """The image cannot be decoded."""


def thumbnail(image: Image) -> File[bytes]:
    """The stored thumbnail of an image, made now if there is none.

    Raises `FileNotFoundError` if the image's file is gone and `NoThumbnail` if it cannot be decoded.
    """
    storage = image.file.storage
    name = f"thumbnails/{image.sha256[:2]}/{image.sha256}.webp"
    if not storage.exists(name):
        with image.file.open("rb") as file:
            storage.save(name, ContentFile(_shrink(file.read())))
    return storage.open(name)


def _shrink(content: bytes) -> bytes:
    try:
        with PIL.Image.open(BytesIO(content), formats=list(Image.Format)) as picture:
            if picture.width * picture.height > settings.UPLOAD_MAX_PIXELS:
                raise NoThumbnail
            picture.draft("RGB", (SIDE, SIDE))  # lets JPEG decode at an eighth, quarter or half of its size
            small = PIL.ImageOps.exif_transpose(_in_8_bit(picture))
            small.thumbnail((SIDE, SIDE))
            result = BytesIO()
            small.convert("RGBA" if small.has_transparency_data else "RGB").save(result, "WEBP", quality=80)
            return result.getvalue()
    except NoThumbnail:
        raise
    except Exception as error:  # noqa: BLE001 - on spoilt bytes Pillow's readers raise whatever they trip over
        raise NoThumbnail(str(error)) from error


def _in_8_bit(picture: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit grey in 8 bit, which Pillow itself would clip to white; anything else as it is."""
    if not picture.mode.startswith("I"):
        return picture
    return PIL.Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
