"""From the bytes of an image to the pixels that a network looks at, as its manifest describes them."""

from __future__ import annotations

import io
import math
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from worker.inference.repository.manifest import Preprocessing

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")

# Twice a 24-megapixel camera. 50 million pixels are 150 MB while they are decoded.
DEFAULT_MAX_PIXELS = 50_000_000

# EXIF orientation -> what to do with the stored picture to see it upright (EXIF 2.32, tag 0x0112)
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
    """The bytes are no image that can be classified. `code`: truncated, undecodable or too-many-pixels."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[UndecodableImage], tuple[str, str]]:
        return type(self), (self.code, str(self))


class Preprocessor:
    """Does what `rule` says, to images of at most `max_pixels` pixels. Threads may share one.

    Above 179 million pixels Pillow refuses by itself (twice `PIL.Image.MAX_IMAGE_PIXELS`), unless the program around it
    has set that to `None`, as one with a limit of its own does. Then `max_pixels` alone holds.
    """

    def __init__(self, rule: Preprocessing, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.rule = rule
        self.max_pixels = max_pixels

    def __call__(self, data: bytes) -> NDArray[np.uint8]:
        """The pixels of an image: uint8, (size, size, 3), in the manifest's channel order.

        The first frame of an animation; upright as its EXIF orientation says; transparency on white. Not normalised
        yet: that is the first thing an engine does with a batch.

        Raises:
            UndecodableImage: and nothing else, whatever the bytes are.
        """
        pixels = self._decode(data)
        if self.rule.channel_order == "BGR":
            pixels = pixels[..., ::-1]
        return np.ascontiguousarray(pixels)  # engines read the memory as it lies there

    def _decode(self, data: bytes) -> NDArray[np.uint8]:
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                self._require_size(image)
                image.load()  # first: looking for EXIF data in a PNG decodes it, and swallows what is wrong with it
                turn = UPRIGHT.get(orientation(image))
                square = self._square(image)
        except UndecodableImage:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise UndecodableImage("too-many-pixels", "The image has too many pixels.") from error
        except Exception as error:  # decoders fed with hostile bytes raise nearly anything
            raise _refusal(data, error) from error
        # The crop lies in the centre, so it can be turned after scaling: the same picture for a hundredth of the work.
        return np.asarray(square if turn is None else square.transpose(turn))

    def _require_size(self, image: Image.Image) -> None:
        """Look at the header only: a few kilobytes can unpack to gigabytes."""
        if image.width * image.height > self.max_pixels:
            message = (
                f"The image has {image.width} x {image.height} pixels; at most {self.max_pixels:,} in all are accepted."
            )
            raise UndecodableImage("too-many-pixels", message)

    def _square(self, image: Image.Image) -> Image.Image:
        """The centred square in RGB, scaled to the input size; the box keeps its fractions of pixels."""
        size = self.rule.size
        side = size / (size + self.rule.crop_margin) * min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        if image.mode != "RGB" and image.width >= image.height and side >= size:
            # Converting copies: only what is looked at. That is the box and, as far as there is a picture, the two
            # pixels of the result around it that bicubic scaling takes in. Of small and of tall pictures all: there
            # Pillow goes by the picture's shape when it decides which direction to scale, and to round, first.
            reach = 2 * side / size + 1
            x, y = max(int(left - reach), 0), max(int(top - reach), 0)
            right, bottom = math.ceil(left + side + reach), math.ceil(top + side + reach)
            image = image.crop((x, y, min(right, image.width), min(bottom, image.height)))
            left, top = left - x, top - y
        return rgb(image).resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8; 1 (as stored) where the EXIF data are missing or damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error):
        return 1


def rgb(image: Image.Image) -> Image.Image:
    """The picture in 8-bit RGB, with what is transparent laid on white."""
    image = in_8_bit(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    picture = image.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def in_8_bit(image: Image.Image) -> Image.Image:
    """16-bit grey in 8 bit, its transparent value in white; anything else as it is.

    Pillow's own conversion clips instead of scaling.
    """
    if not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    # 65535 / 255 = 257, rounded to the nearest. In 16 bits and in place, because the picture may be large; what would
    # overflow is white anyway.
    scaled = np.minimum(values, 65535 - 128)
    scaled += 128
    scaled //= 257
    grey = scaled.astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _refusal(data: bytes, error: Exception) -> UndecodableImage:
    if isinstance(error, MemoryError):
        return UndecodableImage("too-many-pixels", "The image needs more memory than there is.")
    if not data:
        return UndecodableImage("undecodable", "The file is empty.")
    if _is_truncated(data, error):
        return UndecodableImage("truncated", "The image is incomplete: its end is missing.")
    return UndecodableImage("undecodable", "The file is not a JPEG, PNG, GIF or WebP image that can be read.")


def _is_truncated(data: bytes, error: Exception) -> bool:
    """Whether the end is missing. Pillow says so for most formats, a WebP file tells its own length."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return isinstance(error, EOFError | struct.error) or "truncated" in str(error).lower()
