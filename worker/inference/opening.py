"""Opens image files of all formats that are accepted: reads the header, and what Pillow does not read of it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from worker.inference import iso_media, png_chunks
from worker.inference.colour import MAX_PROFILE_BYTES

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIC")

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")  # BigTIFF, for files above 4 GB, has others
# Those of photos, scans and faxes. What others decompress to is not bounded, or few programs read them.
_TIFF_COMPRESSIONS = frozenset({
    "raw", "tiff_ccitt", "group3", "group4", "tiff_lzw", "jpeg", "tiff_adobe_deflate", "tiff_deflate", "packbits",
})  # fmt: skip
_TIFF_REDUCED_SIZE = 1  # in the tag NewSubfileType: the page is a preview of another one
_NEW_SUBFILE_TYPE, _BITS_PER_SAMPLE, _PHOTOMETRIC, _DNG_VERSION = 254, 258, 262, 50706
_ORIENTATION, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 274, 278, 322, 323
_WHITE_IS_ZERO = 0


class UnknownKind(ValueError):
    """The file is of a known format, but of a kind whose colours programs show differently, or not at all."""


def open_image(data: bytes) -> Image.Image:
    """Reads the header of an image file. Pillow alone does not read all of it, and rejects some readable files.

    Of a file with several pictures, it is that of the first one. Raises what Pillow raises, which is nearly anything.
    """
    if iso_media.is_iso_image(data):
        return _open_iso_media(data)
    if data.startswith(_TIFF_SIGNATURES):
        return _open_tiff(data)
    try:
        image = _opened(data, "JPEG", "PNG", "GIF", "WEBP", "BMP")
    except (OSError, ValueError):
        readable = png_chunks.without_profiles(data)
        if readable is data:
            raise
        image = _opened(readable, "PNG")
        image.info["icc_profile"] = png_chunks.profile(data, MAX_PROFILE_BYTES)
    if image.format == "PNG":
        _complete_png_info(image, data)
    return image


def _opened(data: bytes, *formats: str) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=formats)


def _complete_png_info(image: Image.Image, data: bytes) -> None:
    """Adds the chunk cICP, and scales the transparent colour to 8 bits, as Pillow does with the pixels only."""
    if cicp := png_chunks.content(data, b"cICP"):
        image.info["cicp"] = cicp
    key = image.info.get("transparency")
    depth = data[24]
    if isinstance(key, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in key)
    elif isinstance(key, int) and image.mode == "L" and depth < 8:
        image.info["transparency"] = key * 255 // (2**depth - 1)


def _open_tiff(data: bytes) -> Image.Image:
    """Opens the first page. Raises `UnknownKind` for previews of raw photos, and for values that are no colours."""
    image = _opened(data, "TIFF")
    tags = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(_NEW_SUBFILE_TYPE, 0) & _TIFF_REDUCED_SIZE or _DNG_VERSION in tags or data[8:10] == b"CR":
        raise UnknownKind("The file is a raw photo.")
    is_deep = image.mode in {"F", "I"} or image.mode.startswith("I;16") and tags.get(_BITS_PER_SAMPLE) != (16,)
    if is_deep or image.mode == "LAB" or image.info["compression"] not in _TIFF_COMPRESSIONS:
        raise UnknownKind("The colours of the TIFF file are of an unusual kind.")
    # Pillow turns the pixels as the tag says, and would turn them by the XMP data where `size` is not yet turned.
    image.info.pop("xmp", None)
    return image


def tiff_bytes(image: Image.Image) -> int:
    """Returns about how many bytes Pillow and libtiff take, besides the pixels, to decode a TIFF file."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    pixels = image.width * image.height
    turned = 4 * pixels if tags.get(_ORIENTATION, 1) != 1 else 0  # Pillow turns the whole image
    if image.info["compression"] == "raw":
        return turned
    tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0)
    strip = tile or min(tags.get(_ROWS_PER_STRIP, image.height) * max(image.size), pixels)
    return int(turned + strip * sum(tags.get(_BITS_PER_SAMPLE, (1,))) // 8)


def is_inverted(image: Image.Image) -> bool:
    """Whether the values of a decoded image say how dark it is. Pillow inverts 8 bits of a TIFF file, but not 16."""
    return image.mode.startswith("I;16") and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def inverted(image: Image.Image) -> Image.Image:
    result = Image.fromarray(65535 - np.asarray(image))
    result.info = image.info
    return result


def _open_iso_media(data: bytes) -> Image.Image:
    """Opens the main picture of an AVIF or HEIC file. That of an animation is its first frame."""
    described = iso_media.IsoImage(data)
    image = _open_avif(data) if described.coding() == b"av01" else _open_heic(data)
    if "icc_profile" not in image.info and (cicp := described.colours()):
        image.info["cicp"] = cicp
    image.info["is_deep"] = described.is_deep()
    return image


def _open_avif(data: bytes) -> Image.Image:
    # Or else Pillow would read the frames of an animation, which another part of the file describes.
    is_sequence = iso_media.major_brand(data) == b"avis"
    return _opened(data[:8] + b"avif" + data[12:] if is_sequence else data, "AVIF")


def _open_heic(data: bytes) -> Image.Image:
    from pi_heif import HeifImageFile, options  # takes 40 ms and 8 MB, which few processes need

    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    image: Image.Image = HeifImageFile(io.BytesIO(data))
    image.format = "HEIC"
    # libheif turns the pixels as the file says. Its EXIF data say the same once more.
    image.info = {name: image.info[name] for name in ("icc_profile",) if name in image.info}
    return image
