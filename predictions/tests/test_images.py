"""Validation of pictures: the files that `validate` accepts and those that it rejects."""

from __future__ import annotations

from collections.abc import Callable

import PIL.Image
import pytest
from pytest_django import Settings

from predictions.exceptions import RequestRejected
from predictions.models import Image
from predictions.tests import pictures
from predictions.tests.fakes import upload
from predictions.tests.pictures import encoded, noise, picture
from predictions.uploads import validation as images
from worker.inference.tests import iso_files


def _validate(content: bytes) -> images.ValidatedImage:
    return images.validate(upload(content))


def _rejection(content: bytes) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        _validate(content)
    assert caught.value.message.endswith(".")
    return caught.value


def test_returns_format_and_size() -> None:
    content = picture("JPEG")
    validated = _validate(content)
    assert (validated.content, validated.format, validated.width, validated.height) == (content, "JPEG", 32, 24)


@pytest.mark.parametrize("image_format", Image.Format)
def test_accepts_all_formats(image_format: str) -> None:
    assert _validate(pictures.of_each_format()[image_format]).format == image_format


def _gif_with_comment() -> bytes:
    return encoded(noise(), "GIF", comment=b"!," * 100)


def _16_bit() -> bytes:
    return encoded(PIL.Image.new("I;16", (32, 24), 40_000), "PNG")


def _transparent_palette() -> bytes:
    return encoded(noise(mode="P"), "PNG", transparency=3)


WHOLE: dict[str, Callable[[], bytes]] = {
    "JPEG with a preview in its EXIF data": pictures.with_thumbnail,
    "JPEG of several pictures": pictures.multi_picture,
    "JPEG, progressive": lambda: picture("JPEG", progressive=True),
    "JPEG with restart markers": lambda: picture("JPEG", restart_marker_blocks=1),
    "JPEG with fill bytes before its end marker": lambda: picture("JPEG")[:-2] + b"\xff\xff\xff\xd9",
    "JPEG with bytes after its end": lambda: picture("JPEG") + b"more",
    "JPEG, CMYK": lambda: encoded(noise(mode="CMYK"), "JPEG"),
    "JPEG, rotated by EXIF": pictures.rotated,
    "PNG with bytes after its end": lambda: picture("PNG") + b"more",
    "PNG, 16-bit grey": _16_bit,
    "PNG, palette with transparency": _transparent_palette,
    "PNG, animated": lambda: pictures.animation("PNG"),
    "PNG, interlaced": lambda: picture("PNG", interlace=1),
    "GIF with a comment": _gif_with_comment,
    "GIF, animated": pictures.animation,
    "WebP, animated": lambda: pictures.animation("WEBP"),
    "WebP, lossless": lambda: picture("WEBP", lossless=True),
    "BMP, 1 bit": lambda: encoded(noise(mode="1"), "BMP"),
    "BMP, palette": lambda: encoded(noise().quantize(16), "BMP"),
    "BMP, with run-length encoding": pictures.rle_bmp,
    "TIFF, big-endian": lambda: pictures.tiff(endian=">"),
    "TIFF, LZW": lambda: picture("TIFF", compression="tiff_lzw"),
    "TIFF, JPEG": lambda: picture("TIFF", compression="jpeg"),
    "TIFF, CMYK": lambda: encoded(noise(mode="CMYK"), "TIFF"),
    "TIFF, fax": lambda: encoded(noise(mode="1"), "TIFF", compression="group4"),
    "TIFF, one row in each strip": lambda: picture("TIFF", strip_size=96),
    "TIFF of several pages": lambda: encoded(noise(), "TIFF", save_all=True, append_images=[noise(seed=1)]),
    "AVIF, grey": lambda: encoded(noise(mode="L"), "AVIF"),
    "AVIF, animated": lambda: pictures.animation("AVIF"),
    "AVIF of the general brand": lambda: iso_files.avif(brand=b"mif1"),
    "HEIC of the general brand": lambda: iso_files.heic(brand=b"mif1"),
    "HEIC, transparent": lambda: iso_files.heic(alpha=True),
    "HEIC in tiles": lambda: iso_files.heic_grid(3, 2),
}


@pytest.mark.parametrize("name", WHOLE)
def test_accepts_complete_files(name: str) -> None:
    assert _validate(WHOLE[name]()).format == name.split()[0].rstrip(",").upper()


def _every_cut(content: bytes) -> range:
    """All lengths shorter than the file. The last two bytes of a GIF only mark its end."""
    return range(len(content) - (2 if content.startswith(b"GIF") else 0))


@pytest.mark.parametrize(
    "name", [name for name in WHOLE if "after its end" not in name and "animated" not in name and "pages" not in name]
)
def test_rejects_files_that_are_cut_off(name: str) -> None:
    content = WHOLE[name]()
    # The first of several pictures in one file is the one that is classified.
    whole = content if "JPEG of several" not in name else content[: content.index(b"\xff\xd9\xff\xd8") + 2]
    for length in _every_cut(whole):
        assert _rejection(content[:length]).code in {"empty", "not-an-image", "incomplete"}


@pytest.mark.parametrize(
    ("content", "code", "status"),
    [
        (b"", "empty", 400),
        (b"plain text", "not-an-image", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not-an-image", 415),
        (b"%PDF-1.7", "not-an-image", 415),
        (encoded(noise(), "PPM"), "not-an-image", 415),
        (encoded(noise(), "TIFF", big_tiff=True), "not-an-image", 415),
        (b"\0\0\0\x18ftypmp42" + bytes(100), "not-an-image", 415),
        (encoded(noise(1, 1), "PNG"), "too-small", 400),
        (encoded(noise(100, 7), "PNG"), "too-small", 400),
    ],
)
def test_rejects_other_files(content: bytes, code: str, status: int) -> None:
    rejection = _rejection(content)
    assert (rejection.code, rejection.status) == (code, status)


def test_rejects_too_many_pixels_by_the_header(settings: Settings) -> None:
    rejection = _rejection(pictures.png(20_000, 20_000, b""))
    assert (rejection.code, rejection.status) == ("too-many-pixels", 413)
    settings.UPLOAD_MAX_PIXELS = 32 * 24
    assert _validate(picture())
    settings.UPLOAD_MAX_PIXELS -= 1
    assert _rejection(picture()).code == "too-many-pixels"


def test_the_limit_of_pixels_does_not_depend_on_pillow(settings: Settings) -> None:
    settings.UPLOAD_MAX_PIXELS = 400_000_000
    assert _validate(pictures.png(20_000, 20_000, b"")).width == 20_000


def test_rejects_sides_of_zero_pixels() -> None:
    assert _rejection(pictures.png(0, 24, b"")).code in {"not-an-image", "too-small"}


def test_rejects_too_many_bytes(settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = len(picture())
    assert _validate(picture())
    settings.UPLOAD_MAX_BYTES -= 1
    assert (_rejection(picture()).code, _rejection(picture()).status) == ("too-large", 413)
