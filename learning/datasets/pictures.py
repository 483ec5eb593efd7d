"""Prepares stored pictures for training, so that TensorFlow reads the same pixels that the classifier saw."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from io import BytesIO

import PIL.Image
from django.conf import settings
from django.core.files.storage import default_storage
from PIL.JpegImagePlugin import get_sampling
from rq.timeouts import BaseTimeoutException

from predictions.uploads.metadata import without_metadata
from worker.inference.colour import to_srgb
from worker.inference.opening import open_image
from worker.inference.rendering import orientation, render

GONE, DAMAGED, UNDECODABLE = "gone", "damaged", "undecodable"

# What was done to a picture: its metadata were removed, or it was re-encoded.
STRIPPED, CONVERTED = "stripped", "converted"

_JPEG_QUALITY = 95  # of a converted picture; Pillow's documentation advises against more
_SAMPLING_420 = 2  # Pillow's number for 4:2:0, the coarsest sampling that a quarter turn does not change
_MAX_BITS = 8  # a channel; many programs read deeper pictures wrongly


class MissingPicture(Exception):
    """A picture cannot be exported. `reason` is `gone`, `damaged` or `undecodable`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture. `format` is `jpeg` or `png`; `change` is empty, `stripped` or `converted`."""

    content: bytes = field(repr=False)
    format: str
    change: str = ""

    @property
    def extension(self) -> str:
        return "jpg" if self.format == "jpeg" else self.format

    @property
    def is_converted(self) -> bool:
        return self.change == CONVERTED


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

    The compressed pixels stay as they were sent if possible, and lose their metadata. TensorFlow and Keras do not apply
    an orientation or a colour profile, do not put transparent pixels on white, and do not read WebP from folders. Of an
    animation, the classifier sees the first frame. A JPEG that must change stays a JPEG; everything else becomes a PNG,
    which is lossless. Raises `MissingPicture`.
    """
    try:
        with open_image(content) as image:
            if image.width * image.height > settings.UPLOAD_MAX_PIXELS:
                raise MissingPicture(UNDECODABLE)
            kind = "jpeg" if image.format in {"JPEG", "MPO"} else "png"
            stripped = without_metadata(content)
            if stripped is not None and _is_plain(image, content, has_metadata=stripped != content):
                return Picture(stripped, kind, STRIPPED if stripped != content else "")
            sampling = get_sampling(image)
        return Picture(_converted(content, kind, sampling), kind, CONVERTED)
    except (MissingPicture, BaseTimeoutException):
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises many kinds of errors on corrupt bytes
        if isinstance(error.__cause__, BaseTimeoutException):  # the time of the job, not of the picture, is over
            raise error.__cause__ from None
        raise MissingPicture(UNDECODABLE) from error


def _is_plain(image: PIL.Image.Image, content: bytes, *, has_metadata: bool) -> bool:
    """Whether the compressed pixels alone are what the classifier saw: opaque, in sRGB and 8 bits, upright."""
    if image.mode not in {"1", "L", "P", "RGB"} or image.has_transparency_data:
        return False
    if image.format == "PNG" and (content[24] > _MAX_BITS or getattr(image, "is_animated", False)):
        return False
    if not has_metadata:
        return True
    if image.format == "PNG":
        image.load()  # now, because looking for an orientation decodes a PNG and hides its errors
    return to_srgb(image) is None and orientation(image) == 1


def _converted(content: bytes, kind: str, sampling: int) -> bytes:
    picture = render(content, max_pixels=settings.UPLOAD_MAX_PIXELS)
    result = BytesIO()
    if kind == "jpeg":
        kept = sampling if sampling == _SAMPLING_420 else 0  # 0, the finest sampling, loses nothing
        picture.save(result, "JPEG", quality=_JPEG_QUALITY, subsampling=kept)
    else:
        picture.save(result, "PNG")
    return result.getvalue()
