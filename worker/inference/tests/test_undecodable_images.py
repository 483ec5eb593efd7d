"""Files that are damaged, too large, hostile or of another format."""

from __future__ import annotations

import pickle
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from worker.inference.preprocessing import Preprocessor, UndecodableImage
from worker.inference.repository import Preprocessing
from worker.inference.tests.iso_files import heic, heic_grid
from worker.inference.tests.pictures import encoded, photo, quarters

PLAIN = Preprocessing.central_square(32, "RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
preprocess = Preprocessor(PLAIN)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "PDF", "JPEG2000"])
def test_rejects_other_formats(kind: str) -> None:
    with pytest.raises(UndecodableImage) as caught:
        preprocess(encoded(quarters(), kind))
    assert caught.value.code == "undecodable"


@pytest.mark.parametrize("data", [b"", b"text named .jpg", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_rejects_other_bytes(data: bytes) -> None:
    with pytest.raises(UndecodableImage) as caught:
        preprocess(data)
    assert caught.value.code in ("undecodable", "truncated")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_reports_truncated_image(kind: str) -> None:
    data = photo("chelsea", kind)
    with pytest.raises(UndecodableImage) as caught:
        preprocess(data[: len(data) * 2 // 3])
    assert caught.value.code == "truncated"


def test_rejects_too_many_pixels_before_decoding() -> None:
    small = Preprocessor(PLAIN, max_pixels=60 * 40 - 1)
    with pytest.raises(UndecodableImage, match="60 x 40 pixels; at most 2,399") as caught:
        small(encoded(quarters()))
    assert caught.value.code == "too-many-pixels"
    assert Preprocessor(PLAIN, max_pixels=60 * 40)(encoded(quarters())).shape == (32, 32, 3)


_IDAT = struct.pack(">I", 100) + b"IDAT"


def _bomb(width: int, height: int) -> bytes:
    """A PNG that claims these dimensions and ends where its pixels should begin."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + _IDAT


@pytest.mark.parametrize("side", [10_000, 20_000, 2**31 - 1])
def test_rejects_decompression_bomb(side: int) -> None:
    for limit in (50_000_000, 10**12):
        with pytest.raises(UndecodableImage) as caught:
            Preprocessor(PLAIN, max_pixels=limit)(_bomb(side, side))
        assert caught.value.code in ({"too-many-pixels"} if limit < 10**12 else {"too-many-pixels", "truncated"})


@pytest.mark.parametrize("error", [MemoryError(), Image.DecompressionBombWarning(), RecursionError(), struct.error()])
def test_wraps_any_exception_of_pillow(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(UndecodableImage) as caught:
        preprocess(b"data")
    assert caught.value.__cause__ is error


SEEDS = [encoded(quarters(mode), kind) for mode, kind in (
    ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "GIF"), ("RGB", "WEBP"), ("L", "PNG"),
    ("RGB", "BMP"), ("P", "BMP"), ("CMYK", "TIFF"), ("RGB", "AVIF")
)]  # fmt: skip
SEEDS += [heic(alpha=True), heic_grid(2, 2)]


@given(st.binary() | st.builds(lambda seed, end: seed[:12] + end, st.sampled_from(SEEDS), st.binary()))
def test_random_bytes_raise_nothing_but_undecodable_image(data: bytes) -> None:
    _assert_decodes_or_raises_undecodable_image(data)


@given(st.data())
def test_changed_images_raise_nothing_but_undecodable_image(data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 8))):
        seed[data.draw(st.integers(0, len(seed) - 1))] = data.draw(st.integers(0, 255))
    _assert_decodes_or_raises_undecodable_image(
        bytes(seed[: data.draw(st.integers(0, len(seed)))]) if data.draw(st.booleans()) else bytes(seed)
    )


def _assert_decodes_or_raises_undecodable_image(data: bytes) -> None:
    try:
        tensor = preprocess(data)
    except UndecodableImage as error:
        assert error.code in ("truncated", "undecodable", "too-many-pixels")
        assert str(error)
        assert "\n" not in str(error)
    else:
        assert tensor.shape == (32, 32, 3)


def test_exception_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(UndecodableImage("truncated", "The image is incomplete.")))
    assert (error.code, str(error)) == ("truncated", "The image is incomplete.")
