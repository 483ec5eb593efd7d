"""The picture that people and models see is the same, whatever the file says about it."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worker.inference.rendering import UndecodableImage, render
from worker.inference.tests import png_files
from worker.inference.tests.pictures import encoded, photo, quarters

WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)


def _pixels(data: bytes) -> NDArray[np.int64]:
    return np.asarray(render(data)).astype(np.int64)


def _xmp(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def _exif(kind: int, count: int, value: bytes, *, next_directory: bytes = bytes(4)) -> bytes:
    """EXIF data with one entry, the orientation, of any type."""
    entry = struct.pack(">HHI", 0x0112, kind, count) + value.ljust(4, b"\0")
    return b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + next_directory


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_applies_an_orientation_in_xmp(kind: str) -> None:
    turned = quarters().transpose(Image.Transpose.ROTATE_90)
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
    upright = _pixels(encoded(turned, kind, xmp=_xmp(6), **options))
    assert np.abs(upright - np.asarray(quarters(), int)).max() < 12


def test_exif_comes_before_xmp() -> None:
    data = encoded(quarters(), "JPEG", xmp=_xmp(6), exif=_exif(3, 1, b"\0\1"))
    assert render(data).size == quarters().size


@pytest.mark.parametrize(
    "exif",
    [
        _exif(3, 1, b"\0\0"),
        _exif(3, 1, b"\0\x09"),
        _exif(2, 2, b"6\0"),  # text
        _exif(5, 1, b"\0\0\0\x08"),  # a fraction
        # The second directory, which describes a preview, has an orientation of its own.
        b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\x0e\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4),
    ],
    ids=["0", "9", "text", "fraction", "of a preview"],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_ignores_an_orientation_that_does_not_exist(kind: str, exif: bytes) -> None:
    assert render(encoded(quarters(), kind, exif=exif)).size == quarters().size


def test_result_has_no_metadata() -> None:
    """Pillow would write them to the next file."""
    data = encoded(quarters(), "JPEG", comment=b"at home", xmp=_xmp(1), exif=_exif(3, 1, b"\0\1"))
    assert render(data).info == render(data, max_side=30).info == {}


@pytest.mark.parametrize("size", [(60, 40), (3000, 20), (20, 3000), (1500, 1200)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_scales_down_to_the_longer_side(kind: str, size: tuple[int, int]) -> None:
    result = render(encoded(quarters().resize(size), kind), max_side=50)
    expected = quarters().resize(result.size, Image.Resampling.BOX)
    assert max(result.size) == 50
    assert np.abs(np.asarray(result, int) - np.asarray(expected, int)).mean() < 20


def test_never_scales_up() -> None:
    assert render(encoded(quarters()), max_side=500).size == quarters().size


def test_converts_large_images_in_strips_like_small_ones() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1700, 1300, 4), np.uint8))
    white = Image.new("RGBA", image.size, "white")
    expected = Image.alpha_composite(white, image).convert("RGB")
    np.testing.assert_array_equal(_pixels(encoded(image, compress_level=1)), np.asarray(expected))


def _gif(canvas: tuple[int, int], frame: tuple[int, int, int, int], *, transparent: bool) -> bytes:
    """A GIF whose frame (left, top, width, height) is red. Colour 0 is blue."""
    palette = bytes(BLUE) + bytes(RED) + bytes(6)
    screen = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x81, 0, 0) + palette
    control = b"!\xf9\x04" + bytes([transparent, 0, 0, 3]) + b"\0"
    body = encoded(Image.new("P", frame[2:], 1), "GIF", optimize=False)
    code = body[body.rindex(struct.pack("<HH", *frame[2:])) + 5 : -1]
    return screen + control + b"," + struct.pack("<HHHHB", *frame, 0) + code + b";"


@pytest.mark.parametrize("transparent", [False, True])
def test_canvas_outside_the_first_frame_of_a_gif_is_white(transparent: bool) -> None:
    image = render(_gif((40, 30), (10, 5, 20, 15), transparent=transparent))
    expected = Image.new("RGB", (40, 30), WHITE)
    expected.paste(RED, (10, 5, 30, 20))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))


def test_frame_beyond_the_canvas_of_a_gif_extends_it() -> None:
    image = render(_gif((20, 20), (10, 10, 20, 20), transparent=False))
    assert image.size == (30, 30)
    assert (image.getpixel((5, 5)), image.getpixel((25, 25))) == (WHITE, RED)


def _riff_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _uint24(*values: int) -> bytes:
    return b"".join(value.to_bytes(3, "little") for value in values)


def test_canvas_outside_the_first_frame_of_a_webp_is_white() -> None:
    """Frame and canvas have no transparency, and the background is black. Browsers ignore the background."""
    frame = encoded(Image.new("RGB", (20, 16), RED), "WEBP", quality=100)[12:]
    frames = b"".join(
        _riff_chunk(b"ANMF", _uint24(x // 2, 2, 19, 15, 100) + b"\x02" + frame)  # no blending
        for x in (10, 0)
    )
    header = _riff_chunk(b"VP8X", b"\x02\0\0\0" + _uint24(39, 29)) + _riff_chunk(b"ANIM", b"\0\0\0\xff\0\0")
    body = b"WEBP" + header + frames
    image = render(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert image.size == (40, 30)
    assert (image.getpixel((2, 2)), image.getpixel((35, 25))) == (WHITE, WHITE)
    red, green, blue = np.asarray(image)[10, 20]
    assert red > 240 and max(green, blue) < 15


def test_png_with_several_frames_shows_its_default_image() -> None:
    """The default image need not be a frame. Programs that know nothing of animations show it."""
    frames = [Image.new("RGB", (40, 30), colour) for colour in (RED, BLUE, WHITE)]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True)
    assert render(data).getcolors() == [(1200, RED)]


@pytest.mark.parametrize(("depth", "key"), [(1, 0), (2, 1), (4, 5), (8, 77), (16, 770)])
def test_transparent_grey_of_any_depth_becomes_white(depth: int, key: int) -> None:
    values = [key, 2**depth - 1, key, 0][:4] * 4
    bits = "".join(f"{value:0{depth}b}" for value in values)
    row = int(bits, 2).to_bytes(len(bits) // 8)
    data = png_files.png(16, 8, depth, 0, [row] * 8, png_files.chunk(b"tRNS", struct.pack(">H", key)))
    grey = [255 if value == key else round(value * 255 / (2**depth - 1)) for value in values]
    np.testing.assert_array_equal(_pixels(data)[0, :, 0], grey)


def test_transparent_colour_of_16_bits_becomes_white() -> None:
    key = struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)
    row = (key + struct.pack(">3H", 0x8000, 0x4000, 0x2000)) * 8
    data = png_files.png(16, 8, 16, 2, [row] * 8, png_files.chunk(b"tRNS", key))
    np.testing.assert_array_equal(_pixels(data)[0, :2], [WHITE, (128, 64, 32)])


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bits_a_channel_are_reduced_to_8(colour_type: int, channels: int) -> None:
    values = [0x8080] * channels
    if channels in {2, 4}:
        values[-1] = 0xFFFF
    row = struct.pack(f">{channels}H", *values) * 16
    np.testing.assert_array_equal(_pixels(png_files.png(16, 8, 16, colour_type, [row] * 8)), 128)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_rejects_damaged_pixels(kind: str) -> None:
    data = photo("chelsea", kind)
    with pytest.raises(UndecodableImage):
        render(data[: len(data) // 2])
