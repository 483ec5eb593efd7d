"""BMP, TIFF, AVIF and HEIC files show what other programs show of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from worker.inference.iso_media import MalformedFile
from worker.inference.opening import UnknownKind, open_image
from worker.inference.rendering import UPRIGHT, UndecodableImage, render
from worker.inference.tests import iso_files
from worker.inference.tests.iso_files import avif, colours, gradient, heic, heic_grid, mirror, profile, rotation
from worker.inference.tests.pictures import encoded
from worker.inference.tests.profiles import SWAPPED


def _difference(content: bytes, expected: Image.Image) -> float:
    """Returns the mean difference of a rendered file to what it shows, of 255."""
    shown = render(content)
    assert shown.mode == "RGB" and shown.size == expected.size
    return float(np.abs(np.asarray(shown, float) - np.asarray(expected.convert("RGB"), float)).mean())


def _on_white() -> Image.Image:
    image = gradient()
    image.putalpha(iso_files.gradient_alpha())
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _with_alpha() -> Image.Image:
    image = gradient()
    image.putalpha(iso_files.gradient_alpha())
    return image


def _grey_16() -> Image.Image:
    return Image.fromarray(np.asarray(gradient().convert("L")).astype(np.uint16) * 257)


def _tiff(image: Image.Image, tags: dict[int, Any] | None = None, **options: Any) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        info[tag] = value
    return encoded(image, "TIFF", tiffinfo=info, **options)


def _deep_tiff(*, channels: int, white_is_zero: bool = False) -> bytes:
    """A TIFF with 16 bits a channel, which Pillow reads but does not write."""
    image = gradient() if channels == 3 else gradient().convert("L")
    values = np.asarray(image).astype(np.uint16) * 257
    values = 65535 - values if white_is_zero else values
    grey = Image.fromarray(values.reshape(64, -1))
    content = encoded(grey, "TIFF")
    if channels == 1:
        return content.replace(_entry(262, 3, 1), _entry(262, 3, 0 if white_is_zero else 1))
    content = content.replace(_entry(256, 4, 192), _entry(256, 4, 64)).replace(_entry(262, 3, 1), _entry(262, 3, 2))
    return content.replace(_entry(284, 3, 1), _entry(277, 3, 3))


def _entry(tag: int, kind: int, value: int) -> bytes:
    return b"".join(number.to_bytes(size, "little") for number, size in ((tag, 2), (kind, 2), (1, 4), (value, 4)))


EXACT: dict[str, Callable[[], tuple[bytes, Image.Image]]] = {
    "bmp": lambda: (encoded(gradient(), "BMP"), gradient()),
    "bmp, 1 bit": lambda: (encoded(gradient().convert("1"), "BMP"), gradient().convert("1")),
    "bmp, palette": lambda: (encoded(gradient().quantize(16), "BMP"), gradient().quantize(16)),
    "bmp, grey": lambda: (encoded(gradient().convert("L"), "BMP"), gradient().convert("L")),
    "tiff": lambda: (_tiff(gradient()), gradient()),
    "tiff, 1 bit": lambda: (_tiff(gradient().convert("1"), compression="group4"), gradient().convert("1")),
    "tiff, palette": lambda: (_tiff(gradient().quantize(16)), gradient().quantize(16)),
    "tiff, lzw": lambda: (_tiff(gradient(), compression="tiff_lzw"), gradient()),
    "tiff, deflate": lambda: (_tiff(gradient(), compression="tiff_adobe_deflate"), gradient()),
    "tiff, packbits": lambda: (_tiff(gradient(), compression="packbits"), gradient()),
    "tiff, cmyk": lambda: (_tiff(gradient().convert("CMYK")), gradient().convert("CMYK")),
    "tiff, 16 bit grey": lambda: (_deep_tiff(channels=1), gradient().convert("L")),
    "tiff, 16 bit grey, white is zero": lambda: (_deep_tiff(channels=1, white_is_zero=True), gradient().convert("L")),
    "tiff, 16 bit rgb": lambda: (_deep_tiff(channels=3), gradient()),
    "tiff, transparent": lambda: (_tiff(_with_alpha()), _on_white()),
    "tiff, transparent grey": lambda: (_tiff(_with_alpha().convert("LA")), _on_white_grey()),
    "tiff, two pages": lambda: (
        encoded(gradient(), "TIFF", save_all=True, append_images=[Image.new("RGB", (64, 64))]),
        gradient(),
    ),
}


def _on_white_grey() -> Image.Image:
    image = _with_alpha().convert("LA").convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


@pytest.mark.parametrize("name", EXACT)
def test_shows_exactly_what_the_file_holds(name: str) -> None:
    content, expected = EXACT[name]()
    assert _difference(content, expected) < 0.1  # 16 bits are rounded


def _swapped(image: Image.Image) -> Image.Image:
    """What a picture with the profile `SWAPPED` shows. Browsers show the same of PNG files."""
    return render(encoded(image, "PNG", icc_profile=SWAPPED))


LOSSY: dict[str, Callable[[], tuple[bytes, Image.Image]]] = {
    "tiff, jpeg": lambda: (_tiff(gradient(), compression="jpeg"), gradient()),
    "tiff, profile": lambda: (_tiff(gradient(), icc_profile=SWAPPED), _swapped(gradient())),
    "avif": lambda: (avif(), gradient()),
    "avif of the general brand": lambda: (avif(brand=b"mif1"), gradient()),
    "avif, profile": lambda: (avif(profile(SWAPPED)), _swapped(gradient())),
    "avif, transparent": lambda: (encoded(_with_alpha(), "AVIF", quality=95), _on_white()),
    "avif, grey": lambda: (encoded(gradient().convert("L"), "AVIF", quality=95), gradient().convert("L")),
    "avif, animated": lambda: (
        encoded(gradient(), "AVIF", save_all=True, append_images=[Image.new("RGB", (64, 64))], quality=95),
        gradient(),
    ),
    "heic": lambda: (heic(), gradient()),
    "heic of the general brand": lambda: (heic(brand=b"mif1"), gradient()),
    "heic, profile": lambda: (heic(profile(SWAPPED)), _swapped(gradient())),
    "heic, transparent": lambda: (heic(alpha=True), _on_white()),
}


@pytest.mark.parametrize("name", LOSSY)
def test_shows_nearly_what_was_encoded(name: str) -> None:
    content, expected = LOSSY[name]()
    assert _difference(content, expected) < 2


def test_tiles_of_a_grid_are_joined() -> None:
    expected = Image.new("RGB", (192, 128))
    for column in range(3):
        for row in range(2):
            expected.paste(gradient(), (64 * column, 64 * row))
    assert _difference(heic_grid(3, 2), expected) < 2


@pytest.mark.parametrize("make", [heic, avif])
@pytest.mark.parametrize(
    ("properties", "turns"),
    [
        ([rotation(1)], [Image.Transpose.ROTATE_90]),
        ([rotation(2)], [Image.Transpose.ROTATE_180]),
        ([mirror(0)], [Image.Transpose.FLIP_TOP_BOTTOM]),
        ([mirror(1)], [Image.Transpose.FLIP_LEFT_RIGHT]),
        ([rotation(3), mirror(1)], [Image.Transpose.ROTATE_270, Image.Transpose.FLIP_LEFT_RIGHT]),
    ],
)
def test_turns_heic_and_avif_once(
    make: Callable[..., bytes], properties: list[bytes], turns: list[Image.Transpose]
) -> None:
    expected = gradient()
    for turn in turns:
        expected = expected.transpose(turn)
    assert _difference(make(*properties), expected) < 2


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}], ids=["raw", "lzw"])
def test_turns_tiff_once(number: int, options: dict[str, str]) -> None:
    stored = gradient().crop((0, 0, 64, 40))
    turn = UPRIGHT.get(number)
    expected = stored.transpose(turn) if turn is not None else stored
    content = _tiff(stored, {274: number}, **options)
    assert _difference(content, expected) == 0
    with open_image(content) as opened:
        assert opened.size == expected.size


def test_xmp_data_do_not_turn_tiff() -> None:
    """Pillow would turn the pixels after their size is used."""
    stored = gradient().crop((0, 0, 64, 40))
    assert _difference(_tiff(stored, {700: b'<x tiff:Orientation="6"/>'}), stored) == 0


@pytest.mark.parametrize("make", [heic, avif])
def test_colours_by_numbers_are_those_of_png(make: Callable[..., bytes]) -> None:
    """Display P3 (12), as phones use it, with the curve of sRGB (13)."""
    shown = np.asarray(render(make(colours(12, 13))), int)
    assert shown[5, 60, 0] == 255 and shown[5, 60, 1] < 5  # a red that sRGB does not have
    assert _difference(make(colours(1, 13)), gradient()) < 2


UNKNOWN = {
    "32 bit integers": lambda: encoded(gradient().convert("I"), "TIFF"),
    "floats": lambda: encoded(gradient().convert("F"), "TIFF"),
    "Lab": lambda: encoded(Image.new("LAB", (64, 64)), "TIFF"),
    "zstd": lambda: _tiff(gradient(), compression="zstd"),
    "lzma": lambda: _tiff(gradient(), compression="lzma"),
    "preview of a raw photo": lambda: _tiff(gradient(), {254: 1}),
    "digital negative": lambda: _tiff(gradient(), {50706: b"\1\4\0\0"}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_rejects_tiff_of_which_colours_are_unknown(name: str) -> None:
    with pytest.raises(UnknownKind):
        open_image(UNKNOWN[name]())


def test_rejects_big_tiff() -> None:
    with pytest.raises(UndecodableImage):
        render(encoded(gradient(), "TIFF", big_tiff=True))


def test_rejects_what_needs_more_memory_than_other_formats() -> None:
    """15 bytes for each of its pixels are more than 12 for each of the pixels that are allowed."""
    content = encoded(_with_alpha(), "AVIF")
    render(content, max_pixels=64 * 64 * 15 // 12)
    with pytest.raises(UndecodableImage, match="too many pixels for AVIF") as caught:
        render(content, max_pixels=64 * 64)
    assert caught.value.code == "too-many-pixels"


@pytest.mark.parametrize("content", [heic(), heic_grid(2, 2), avif()], ids=["heic", "grid", "avif"])
def test_a_file_that_is_cut_off_is_malformed(content: bytes) -> None:
    for length in range(12, len(content)):
        with pytest.raises(MalformedFile):
            open_image(content[:length])
