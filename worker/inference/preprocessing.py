"""Turns the bytes of an image into the pixels that a network takes, as its manifest describes."""

from __future__ import annotations

import io
import math
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from worker.inference.repository.manifest import Preprocessing

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")

# Twice the pixels of a 24-megapixel camera. 50 million pixels take 150 MB while they are decoded.
DEFAULT_MAX_PIXELS = 50_000_000

# EXIF orientation -> the transposition that makes the stored image upright (EXIF 2.32, tag 0x0112)
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UndecodableImage(ValueError):
    """The bytes are not an image that can be classified. `code`: truncated, undecodable or too-many-pixels."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[UndecodableImage], tuple[str, str]]:
        return type(self), (self.code, str(self))


class Preprocessor:
    """Decodes, crops and scales images as `rule` says. Threads may share one.

    `max_pixels` bounds width x height. Pillow also rejects more than 179 million pixels (twice
    `PIL.Image.MAX_IMAGE_PIXELS`), unless the program sets that constant to None.
    """

    def __init__(self, rule: Preprocessing, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.rule = rule
        self.max_pixels = max_pixels

    def __call__(self, data: bytes) -> NDArray[np.uint8]:
        """Decodes an image.

        Takes the first frame of an animation, applies the EXIF orientation, and puts transparent images on white.

        Args:
            data: a JPEG, PNG, GIF or WebP file.

        Returns:
            uint8 (size, size, 3), values 0 to 255, C-contiguous, in the manifest's channel order. The engine
            normalises them.

        Raises:
            UndecodableImage: for any other bytes. No other exception is raised.
        """
        pixels = self._decode(data)
        if self.rule.channel_order == "BGR":
            pixels = pixels[..., ::-1]
        return np.ascontiguousarray(pixels)  # engines read the memory in this order

    def _decode(self, data: bytes) -> NDArray[np.uint8]:
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                self._require_size(image)
                image.load()  # before getexif(), which decodes a PNG too, but swallows errors
                transpose = UPRIGHT.get(orientation(image))
                square = self._square(image)
        except UndecodableImage:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise UndecodableImage("too-many-pixels", "The image has too many pixels.") from error
        except Exception as error:  # decoders fed with hostile bytes raise nearly anything
            raise _undecodable(data, error) from error
        # The crop is centred, so transposing it after scaling gives the same pixels for a hundredth of the work.
        return np.asarray(square if transpose is None else square.transpose(transpose))

    def _require_size(self, image: Image.Image) -> None:
        """Checks the size in the header, because a few kilobytes can decode to gigabytes."""
        if image.width * image.height > self.max_pixels:
            message = f"The image has {image.width} x {image.height} pixels; at most {self.max_pixels:,} are accepted."
            raise UndecodableImage("too-many-pixels", message)

    def _square(self, image: Image.Image) -> Image.Image:
        """The centred square in RGB, scaled to the input size. The square is not rounded to whole pixels."""
        size = self.rule.size
        side = size / (size + self.rule.crop_margin) * min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        if image.mode != "RGB" and image.width >= image.height and side >= size:
            # Converting copies the image, so convert only the square and the pixels around it that bicubic scaling
            # reads, which are two pixels of the result. Small and tall images are converted whole: for them, Pillow
            # chooses by the image's shape which direction to scale, and so to round, first.
            reach = 2 * side / size + 1
            x, y = max(int(left - reach), 0), max(int(top - reach), 0)
            right, bottom = math.ceil(left + side + reach), math.ceil(top + side + reach)
            image = image.crop((x, y, min(right, image.width), min(bottom, image.height)))
            left, top = left - x, top - y
        return rgb(image).resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (as stored) if the EXIF data is missing or damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error):
        return 1


def rgb(image: Image.Image) -> Image.Image:
    """The image in 8-bit RGB, blended with white where it is transparent."""
    image = in_8_bit(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def in_8_bit(image: Image.Image) -> Image.Image:
    """Converts 16-bit grey to 8 bits, and its transparent value to white. Other images are returned unchanged.

    Pillow's own conversion clips values instead of scaling them.
    """
    if not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    # Divide by 257 = 65535 / 255 and round to the nearest. The image may be large, so this works in place and in
    # 16 bits: values that would overflow when 128 is added are limited first, and become 255 all the same.
    scaled = np.minimum(values, 65535 - 128)
    scaled += 128
    scaled //= 257
    grey = scaled.astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _undecodable(data: bytes, error: Exception) -> UndecodableImage:
    if isinstance(error, MemoryError):
        return UndecodableImage("too-many-pixels", "The image needs more memory than is available.")
    if not data:
        return UndecodableImage("undecodable", "The file is empty.")
    if _is_truncated(data, error):
        return UndecodableImage("truncated", "The image is incomplete: its end is missing.")
    return UndecodableImage("undecodable", "The file is not a readable JPEG, PNG, GIF or WebP image.")


def _is_truncated(data: bytes, error: Exception) -> bool:
    """Whether the end is missing. Pillow detects it for most formats; a WebP file states its own length."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return isinstance(error, EOFError | struct.error) or "truncated" in str(error).lower()
