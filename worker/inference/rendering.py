"""Turns the bytes of an image file into the picture that everybody sees: upright, opaque, in sRGB, 8 bits a channel.

The network's input, thumbnails, the copies for pages and data sets are all made here, so that people and models see the
same: the first frame of an animation, turned as its EXIF or XMP data say, with its colour profile applied, and white
where it is transparent.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import ExifTags, Image, _webp

from worker.inference.colour import ToSRGB, to_srgb
from worker.inference.decoding_memory import DECODING_MEMORY
from worker.inference.iso_media import MalformedFile
from worker.inference.opening import inverted, is_inverted, open_image, tiff_bytes

# Twice the pixels of a 24-megapixel camera. 50 million pixels take up to 600 MB while they are decoded.
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

_TURNS_ON_SIDE = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
}

# Pixels of the result that a filter reads on each side.
_REACH = {Image.Resampling.LANCZOS: 3}

# What WebP and progressive JPEG files in CMYK take.
_MOST_BYTES_A_PIXEL = 12

# Images are converted in strips of about this many pixels, so that the intermediate copies stay small.
_STRIP_PIXELS = 2**20

# Wide images, and all above this size, are cropped before they are converted.
_SMALL_PIXELS = 2**20


class UndecodableImage(ValueError):
    """The bytes are not an image that can be classified. `code`: truncated, undecodable or too-many-pixels."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[UndecodableImage], tuple[str, str]]:
        return type(self), (self.code, str(self))


@dataclass(frozen=True)
class Cut:
    """The part of an upright image that is needed, and the size that it is scaled to.

    The box need not be whole pixels. It must be centred, because an image is cut before it is turned. `reducing_gap` is
    Pillow's: scaling is faster, and a little less exact.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    reducing_gap: float | None = None
    resampling: Image.Resampling = Image.Resampling.BICUBIC

    def transposed(self) -> Cut:
        """The same part of the image that is mirrored at its diagonal."""
        left, top, right, bottom = self.box
        return replace(self, box=(top, left, bottom, right), size=(self.size[1], self.size[0]))


def render(
    data: bytes,
    cut: Callable[[tuple[int, int]], Cut] | None = None,
    *,
    max_side: int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Image.Image:
    """Decodes an image as everybody sees it, in mode RGB.

    Args:
        data: a file of one of the `opening.FORMATS`.
        cut: returns what is needed of an image of this size (upright width and height). None: all of it.
        max_side: without a cut, scales the image down to at most this many pixels on its longer side.
        max_pixels: the largest width x height that is decoded. Pillow also rejects more than 179 million pixels (twice
            `PIL.Image.MAX_IMAGE_PIXELS`), unless the program sets that constant to None.

    Raises:
        UndecodableImage: for any other bytes. No other exception is raised.
    """
    try:
        with open_image(data) as image:
            _require_size(image, max_pixels)
            decoder = _decoder_bytes(image, data)
            _require_memory(image, decoder, max_pixels)
            fitted = _fitted(image, max_side) if max_side and not cut else None
            with DECODING_MEMORY.reserve(decoder + _pixel_bytes(image, is_cut=cut is not None)):
                try:
                    return _rendered(_loaded(image, data), cut, fitted)
                finally:
                    image.close()  # releases the pixels before another thread may use the memory
    except UndecodableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UndecodableImage("too-many-pixels", "The image has too many pixels.") from error
    except Exception as error:  # decoders fed with hostile bytes raise nearly anything
        raise _undecodable(data, error) from error


def _require_size(image: Image.Image, max_pixels: int) -> None:
    """Checks the size in the header, because a few kilobytes can decode to gigabytes."""
    if image.width * image.height > max_pixels:
        message = f"The image has {image.width} x {image.height} pixels; at most {max_pixels:,} are accepted."
        raise UndecodableImage("too-many-pixels", message)


def _require_memory(image: Image.Image, decoder: int, max_pixels: int) -> None:
    """Checks the formats that need more memory for each pixel, by what the largest image of others needs."""
    is_costly = image.format in {"AVIF", "HEIC"}
    if is_costly and decoder + _pixel_bytes(image, is_cut=True) > _MOST_BYTES_A_PIXEL * max_pixels:
        raise UndecodableImage("too-many-pixels", f"The image has too many pixels for {image.format}.")


def _fitted(image: Image.Image, max_side: int) -> Cut:
    """Returns the cut that scales a whole image down. Lets a JPEG be decoded at an eighth, quarter or half."""
    scale = min(1.0, max_side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image.draft("RGB", size)
    return Cut((0, 0, *image.size), size, reducing_gap=3)


def _decoder_bytes(image: Image.Image, data: bytes) -> int:
    """Returns about how many bytes decoding takes besides the pixels."""
    pixels = image.width * image.height
    if image.format == "WEBP":
        return 8 * pixels  # libwebp keeps two canvases
    if image.format == "GIF":
        return 4 * pixels  # see `_framed`
    if image.format in {"JPEG", "MPO"} and (image.info.get("progressive") or data.count(b"\xff\xda") > 1):
        return 2 * pixels * len(image.getbands())  # 16-bit coefficients: all scans are read before the first pixel
    if image.format in {"AVIF", "HEIC"}:
        return (13 if image.info.get("is_deep") else 7) * pixels  # planes, and two copies in RGB
    return tiff_bytes(image) if image.format == "TIFF" else 0


def _pixel_bytes(image: Image.Image, *, is_cut: bool) -> int:
    """Returns about how many bytes the pixels take: decoded, and once more converted or turned."""
    decoded = 4 if len(image.getbands()) > 1 else 2 if image.mode.startswith("I;16") else 1
    converted = 0 if image.mode == "RGB" and is_cut else 4
    return image.width * image.height * (decoded + converted)


def _loaded(image: Image.Image, data: bytes) -> Image.Image:
    """Decodes the pixels of an opened image."""
    if image.format != "WEBP":
        image.load()  # before getexif(), which decodes a PNG too, but swallows errors
        return inverted(image) if is_inverted(image) else _framed(image)
    # Pillow's own way copies the pixels once more, and leaves the canvas black where the first frame does not cover it.
    decoder = _webp.WebPAnimDecoder(data)
    frame = decoder.get_next()
    del decoder
    if frame is None:
        raise OSError("broken WebP image")
    mode = "RGBX" if image.mode == "RGB" and not getattr(image, "is_animated", False) else "RGBA"
    return _with_info(Image.frombuffer(mode, image.size, frame[0], "raw", mode, 0, 1), image)


def _framed(image: Image.Image) -> Image.Image:
    """Makes the canvas of a GIF transparent where its first frame does not cover it. Pillow fills it with a colour."""
    frame = getattr(image, "dispose_extent", None) if image.format == "GIF" else None
    if frame is None or frame == (0, 0, *image.size):
        return image
    canvas = Image.new("RGBA", image.size, (0, 0, 0, 0))
    canvas.paste(image.crop(frame).convert("RGBA"), frame)
    return _with_info(canvas, image)


def _with_info(pixels: Image.Image, image: Image.Image) -> Image.Image:
    pixels.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return pixels


def _rendered(image: Image.Image, cut_of: Callable[[tuple[int, int]], Cut] | None, fitted: Cut | None) -> Image.Image:
    turn = UPRIGHT.get(orientation(image))
    cut = _stored_cut(image, turn, cut_of) if cut_of else fitted
    result = _scaled(image, cut) if cut else _in_strips(image, (0, 0, *image.size), "RGB", _opaque(to_srgb(image)))
    # Transposing after scaling gives the same pixels for a hundredth of the work.
    upright = result if turn is None else result.transpose(turn)
    upright.info.clear()  # Pillow would write a profile or a comment to the next file
    return upright


def _stored_cut(image: Image.Image, turn: Image.Transpose | None, cut_of: Callable[[tuple[int, int]], Cut]) -> Cut:
    """Returns what is needed of the image as it is stored: before it is turned."""
    if turn not in _TURNS_ON_SIDE:
        return cut_of(image.size)
    return cut_of((image.height, image.width)).transposed()


def _scaled(image: Image.Image, cut: Cut) -> Image.Image:
    """Returns a part of an image in RGB, scaled."""
    conversion = to_srgb(image)
    # Converted after it is scaled if possible, which is a hundred times less work for a photo.
    is_opaque = not image.has_transparency_data
    late = conversion if conversion and conversion.is_gentle and is_opaque else None
    mode = late.mode if late else "RGB"
    box = cut.box
    if not (image.mode in {mode, "RGBX"} and is_opaque and late is conversion):
        region = _region(image, cut)
        image = _in_strips(image, region, mode, _in_mode(mode) if late else _opaque(conversion))
        left, top, right, bottom = box
        box = (left - region[0], top - region[1], right - region[0], bottom - region[1])
    scaled = image.resize(cut.size, cut.resampling, box, cut.reducing_gap)
    return late(scaled) if late else scaled.convert("RGB")


def _region(image: Image.Image, cut: Cut) -> tuple[int, int, int, int]:
    """Returns what must be converted for a cut: its box and the pixels around it that scaling reads."""
    left, top, right, bottom = cut.box
    scales = (right - left) / cut.size[0], (bottom - top) / cut.size[1]
    is_small = image.width * image.height <= _SMALL_PIXELS
    if min(scales) < 1 or (is_small and image.width < image.height):
        # Converted whole: Pillow chooses by the image's shape which direction to scale, and so to round, first.
        return (0, 0, *image.size)
    across, down = (_REACH.get(cut.resampling, 2) * scale + 1 for scale in scales)
    return (
        max(int(left - across), 0),
        max(int(top - down), 0),
        min(math.ceil(right + across), image.width),
        min(math.ceil(bottom + down), image.height),
    )


def _in_strips(
    image: Image.Image, region: tuple[int, int, int, int], mode: str, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Converts a region of an image to a mode, strip by strip, so that copies of a large image stay small."""
    left, top, right, bottom = region
    rows = max(1, _STRIP_PIXELS // (right - left))
    if bottom - top <= rows:
        return convert(image if region == (0, 0, *image.size) else image.crop(region))
    result = Image.new(mode, (right - left, bottom - top))
    for y in range(top, bottom, rows):
        result.paste(convert(image.crop((left, y, right, min(y + rows, bottom)))), (0, y - top))
    return result


def _in_mode(mode: str) -> Callable[[Image.Image], Image.Image]:
    return lambda image: in_8_bit(image).convert(mode)


def _opaque(conversion: ToSRGB | None) -> Callable[[Image.Image], Image.Image]:
    """Returns the function that converts pixels to sRGB, and blends them with white where they are transparent."""

    def convert(image: Image.Image) -> Image.Image:
        image = in_8_bit(image)
        if not image.has_transparency_data:
            return conversion(image) if conversion else image.convert("RGB")
        if image.mode == "La":  # grey, and multiplied by its transparency
            image = image.convert("LA")
        image = image.convert("RGBA")
        if conversion:
            alpha = image.getchannel("A")
            image = conversion(image)
            image.putalpha(alpha)
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")

    return convert


def rgb(image: Image.Image) -> Image.Image:
    """The decoded image in 8-bit sRGB, blended with white where it is transparent, as it is stored: not turned."""
    image = _framed(image)
    return _in_strips(image, (0, 0, *image.size), "RGB", _opaque(to_srgb(image)))


def orientation(image: Image.Image) -> int:
    """The orientation, 1 to 8, by the EXIF data or else by the XMP data; 1 (as stored) without usable ones."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error):
        return 1
    return value if isinstance(value, int) and value in UPRIGHT else 1


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
    return UndecodableImage("undecodable", "The file is not a readable image of a known format.")


def _is_truncated(data: bytes, error: Exception) -> bool:
    """Whether the end is missing. Pillow detects it for most formats; a WebP file states its own length."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    is_end_missing = isinstance(error, EOFError | struct.error | MalformedFile)
    return is_end_missing or "truncated" in str(error).lower()
