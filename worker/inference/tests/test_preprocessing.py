from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from worker.inference.preprocessing import Preprocessor, in_8_bit
from worker.inference.repository import Preprocessing
from worker.inference.tests.pictures import PHOTOS, encoded, photo, quarters

PLAIN = Preprocessing.central_square(32, "RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def preprocess(data: bytes) -> Any:
    """The pixels as float32, which can be subtracted without overflow."""
    return Preprocessor(PLAIN)(data).astype(np.float32)


def _flat(data: bytes) -> Any:
    """The colour of an image of one colour."""
    tensor = preprocess(data)
    assert np.ptp(tensor.reshape(-1, 3), axis=0).max() <= 3
    return tensor[16, 16]


def test_shape_dtype_and_channel_order() -> None:
    rule = Preprocessing.central_square(32, "BGR", (100.0, 110.0, 120.0), (2.0, 4.0, 5.0))
    tensor = Preprocessor(rule)(encoded(Image.new("RGB", (50, 40), (10, 20, 30))))
    assert tensor.shape == (32, 32, 3)
    assert tensor.dtype == np.uint8
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor[0, 0], [30, 20, 10])


def test_crops_the_centre() -> None:
    """A size of 224 with a margin of 32 takes 224 / 256 of the shorter side."""
    image = Image.new("RGB", (512, 256), "black")
    ImageDraw.Draw(image).rectangle((512 // 2 - 112, 16, 512 // 2 + 111, 239), "white")
    rule = Preprocessing.central_square(224, "RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    tensor = Preprocessor(rule)(encoded(image))
    assert tensor.min() == 255  # all of the white square and nothing else


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_accepts_tiny_and_thin_images(size: tuple[int, int]) -> None:
    np.testing.assert_allclose(_flat(encoded(Image.new("RGB", size, (9, 8, 7)))), [9, 8, 7])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("name", PHOTOS)
def test_every_format_gives_the_same_pixels(name: str, kind: str) -> None:
    expected = preprocess(photo(name, "PNG"))
    assert np.abs(preprocess(photo(name, kind)) - expected).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_applies_exif_orientation(orientation: int) -> None:
    upright = quarters()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "WEBP"):
        data = encoded(stored, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
        # 1: each direction of the scaling rounds to whole numbers once
        assert np.abs(preprocess(data) - preprocess(encoded(upright))).max() <= 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"])
def test_ignores_damaged_exif(exif: bytes) -> None:
    expected = preprocess(encoded(quarters(), "JPEG"))
    np.testing.assert_array_equal(preprocess(encoded(quarters(), "JPEG", exif=exif)), expected)


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "CMYK"])
def test_converts_every_mode_to_rgb(mode: str) -> None:
    image = quarters(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    expected = preprocess(encoded(image.convert("RGB")))
    assert np.abs(preprocess(encoded(image, kind)) - expected).mean() < 4


def test_converts_cmyk_colours() -> None:
    image = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    red = _flat(encoded(image, "JPEG", quality=95))
    assert red[0] > 240
    assert red[1:].max() < 15


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))])
def test_transparent_pixels_become_white(mode: str, colour: tuple[int, ...]) -> None:
    np.testing.assert_allclose(_flat(encoded(Image.new(mode, (40, 40), colour))), 255)


def test_blends_translucent_pixels_with_white() -> None:
    np.testing.assert_allclose(_flat(encoded(Image.new("RGBA", (40, 40), (255, 0, 0, 128)))), [255, 127, 127])


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_transparent_colour_becomes_white(mode: str) -> None:
    image = Image.new(mode, (40, 40), (0, 0, 0) if mode == "RGB" else 0)
    data = encoded(image, transparency=(0, 0, 0) if mode == "RGB" else 0)
    np.testing.assert_allclose(_flat(data), 255)


def test_rounds_16_bit_grey_to_the_nearest() -> None:
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(np.asarray(in_8_bit(Image.fromarray(values))), np.rint(values / 257))


def test_converts_16_bit_grey_with_little_memory() -> None:
    data = encoded(Image.new("I;16", (1500, 1000), 40_000))
    tracemalloc.start()
    preprocess(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 1500 * 1000  # three copies of 2 bytes a pixel


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(600, 400), (400, 600), (33, 47), (500, 100), (100, 500)])
def test_converting_only_the_crop_gives_the_same_pixels(mode: str, size: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(photo("coffee"))).resize(size)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        as_rgb = in_8_bit(image).convert("RGB")
    else:
        image = image.convert(mode)
        as_rgb = image.convert("RGB")
    np.testing.assert_array_equal(preprocess(encoded(image)), preprocess(encoded(as_rgb)))


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (257, 1), (32896, 128), (65535, 255), (300, 1)])
def test_scales_16_bit_grey_instead_of_clipping(value: int, expected: int) -> None:
    image = Image.fromarray(np.full((40, 40), value, np.uint16))
    np.testing.assert_allclose(_flat(encoded(image)), expected)


def test_transparent_16_bit_grey_becomes_white() -> None:
    image = Image.fromarray(np.full((40, 40), 1000, np.uint16))
    assert _flat(encoded(image))[0] == 4
    # the tRNS chunk of a grey image is one 16-bit number, before the first IDAT (PNG, 11.3.2.1)
    data, body = encoded(image), b"tRNS" + struct.pack(">H", 1000)
    chunk = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    start = data.index(b"IDAT") - 4
    np.testing.assert_allclose(_flat(data[:start] + chunk + data[start:]), 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_takes_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(_flat(data), [255, 0, 0], atol=3)
