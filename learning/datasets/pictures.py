"""Prepares stored pictures for training, so that TensorFlow reads the same pixels that the classifier saw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from io import BytesIO

import PIL.Image
from django.conf import settings
from django.core.files.storage import default_storage
from PIL.JpegImagePlugin import get_sampling

from predictions.models import Image
from worker.inference.preprocessing import UPRIGHT, orientation, rgb

GONE, DAMAGED, UNDECODABLE = "gone", "damaged", "undecodable"

_JPEG_QUALITY = 95  # of a rotated picture; Pillow's documentation advises against more
_SAMPLING_420 = 2  # Pillow's number for 4:2:0, the coarsest sampling that a quarter turn does not change

# The PNG chunks that can hold an orientation. Pillow would decode the picture to look for one.
_PNG_METADATA = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")


class MissingPicture(Exception):
    """A picture cannot be exported. `reason` is `gone`, `damaged` or `undecodable`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture. `format` is `jpeg` or `png`; `is_converted` means that it was re-encoded."""

    content: bytes = field(repr=False)
    format: str
    is_converted: bool

    @property
    def extension(self) -> str:
        return "jpg" if self.format == "jpeg" else self.format


def stored_picture(name: str, sha256: str) -> Picture:
    """Reads a stored picture and checks its hash. Raises `MissingPicture`."""
    try:
        with default_storage.open(name, "rb") as file:
            content: bytes = file.read()
    except FileNotFoundError as error:
        raise MissingPicture(GONE) from error
    except OSError as error:
        raise MissingPicture(DAMAGED) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise MissingPicture(DAMAGED)
    return readable(content)


def readable(content: bytes) -> Picture:
    """Returns the picture in a format in which TensorFlow reads the pixels that the classifier saw.

    The bytes stay as they were sent if possible. TensorFlow and Keras do not apply an EXIF orientation, do not put
    transparent pixels on white, and do not read WebP from folders. Of an animation, the classifier sees the first
    frame. A JPEG that must change stays a JPEG; everything else becomes a PNG, which is lossless. Raises
    `MissingPicture`.
    """
    try:
        with PIL.Image.open(BytesIO(content), formats=list(Image.Format)) as image:
            if image.width * image.height > settings.UPLOAD_MAX_PIXELS:
                raise MissingPicture(UNDECODABLE)
            is_jpeg = image.format in {"JPEG", "MPO"}
            turn = UPRIGHT.get(orientation(image)) if is_jpeg or _may_have_orientation(image, content) else None
            if turn is None and _is_plain(image):
                return Picture(content, "jpeg" if is_jpeg else "png", is_converted=False)
            return _converted(image, turn, "jpeg" if is_jpeg else "png")
    except MissingPicture:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds of errors on corrupt bytes
        raise MissingPicture(UNDECODABLE) from error


def _is_plain(image: PIL.Image.Image) -> bool:
    if image.format == "PNG":
        return not image.has_transparency_data
    return image.format in {"JPEG", "MPO"} and image.mode in {"L", "RGB"}


def _may_have_orientation(image: PIL.Image.Image, content: bytes) -> bool:
    if image.format == "PNG" and not any(name in content for name in _PNG_METADATA):
        return False
    image.load()  # now, because looking for EXIF data decodes a PNG and hides its errors
    return True


def _converted(image: PIL.Image.Image, turn: PIL.Image.Transpose | None, image_format: str) -> Picture:
    sampling = get_sampling(image)  # before rotating, which loses it
    # A CMYK profile does not apply to RGB.
    profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    upright = rgb(image) if turn is None else rgb(image).transpose(turn)
    result = BytesIO()
    if image_format == "jpeg":
        kept = sampling if sampling == _SAMPLING_420 else 0  # 0, the finest sampling, loses nothing
        upright.save(result, "JPEG", quality=_JPEG_QUALITY, subsampling=kept, icc_profile=profile)
    else:
        upright.info.clear()  # otherwise Pillow would write the old transparent colour
        upright.save(result, "PNG", icc_profile=profile)
    return Picture(result.getvalue(), image_format, is_converted=True)
