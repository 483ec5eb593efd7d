"""Stored pictures as a network can be trained on them: as TensorFlow reads them, they look as they were classified."""

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

_JPEG_QUALITY = 95  # for a picture that has to be turned; Pillow's documentation advises against more
_ROUGHEST = 2  # Pillow's number for 4:2:0, the one way of sampling that is the same after a quarter turn

# Where a PNG can say that it wants to be turned; in any other there is nothing to look for, which would decode it.
_PNG_METADATA = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")


class MissingPicture(Exception):
    """There is no picture to put into a data set. `reason`: `gone`, `damaged` or `undecodable`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """`format`: `jpeg` or `png`. `is_converted`: these are not the bytes that were sent."""

    content: bytes = field(repr=False)
    format: str
    is_converted: bool

    @property
    def extension(self) -> str:
        return "jpg" if self.format == "jpeg" else self.format


def stored_picture(name: str, sha256: str) -> Picture:
    """The picture that is stored under this name, and whose hash is known. Raises `MissingPicture`."""
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
    """The picture in a form that TensorFlow reads, and in which it sees what the classifier saw.

    As it was sent wherever that will do. TensorFlow and Keras do not turn a picture as its EXIF data say, do not lay
    what is transparent on white, and know no WebP in folders of pictures; of an animation we classify the first frame.
    A JPEG stays a JPEG; everything else becomes a PNG, which loses nothing. Raises `MissingPicture`.
    """
    try:
        with PIL.Image.open(BytesIO(content), formats=list(Image.Format)) as image:
            if image.width * image.height > settings.UPLOAD_MAX_PIXELS:
                raise MissingPicture(UNDECODABLE)
            is_jpeg = image.format in {"JPEG", "MPO"}
            turn = UPRIGHT.get(orientation(image)) if is_jpeg or _may_be_turned(image, content) else None
            if turn is None and _is_plain(image):
                return Picture(content, "jpeg" if is_jpeg else "png", is_converted=False)
            return _converted(image, turn, "jpeg" if is_jpeg else "png")
    except MissingPicture:
        raise
    except Exception as error:  # noqa: BLE001 - on corrupt bytes Pillow's readers raise whatever they trip over
        raise MissingPicture(UNDECODABLE) from error


def _is_plain(image: PIL.Image.Image) -> bool:
    if image.format == "PNG":
        return not image.has_transparency_data
    return image.format in {"JPEG", "MPO"} and image.mode in {"L", "RGB"}


def _may_be_turned(image: PIL.Image.Image, content: bytes) -> bool:
    if image.format == "PNG" and not any(name in content for name in _PNG_METADATA):
        return False
    image.load()  # first: looking for EXIF data in a PNG decodes it, and swallows what is wrong with it
    return True


def _converted(image: PIL.Image.Image, turn: PIL.Image.Transpose | None, image_format: str) -> Picture:
    sampling = get_sampling(image)  # before it is turned, which makes another image of it
    # A colour profile belongs to the colours that it was made for.
    profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    upright = rgb(image) if turn is None else rgb(image).transpose(turn)
    result = BytesIO()
    if image_format == "jpeg":
        kept = sampling if sampling == _ROUGHEST else 0  # finer than it was loses nothing
        upright.save(result, "JPEG", quality=_JPEG_QUALITY, subsampling=kept, icc_profile=profile)
    else:
        upright.info.clear()  # or Pillow would write down a transparent colour that is none any more
        upright.save(result, "PNG", icc_profile=profile)
    return Picture(result.getvalue(), image_format, is_converted=True)
