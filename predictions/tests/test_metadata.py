from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.tests.pictures import (
    animation,
    corrupt,
    encoded,
    many_scans,
    multi_picture,
    noise,
    picture,
    with_thumbnail,
)
from predictions.uploads.metadata import without_metadata


def _place() -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}  # GPS: latitude
    return exif


SAME = {
    "jpeg": picture("JPEG"),
    "progressive jpeg": picture("JPEG", progressive=True),
    "jpeg with restart markers": picture("JPEG", restart_marker_blocks=1),
    "cmyk jpeg": encoded(noise(mode="CMYK"), "JPEG"),
    "png": picture("PNG"),
    "palette png": encoded(noise().quantize(16), "PNG"),
    "corrupt png": corrupt(),
}
WITH_METADATA = {
    "place": encoded(noise(), "JPEG", exif=_place()),
    "place in png": encoded(noise(), "PNG", exif=_place()),
    "xmp": encoded(noise(), "JPEG", xmp=b"<x:xmpmeta/>"),
    "comment": encoded(noise(), "JPEG", comment=b"at home"),
    "profile": encoded(noise(), "JPEG", icc_profile=b"x" * 70_000),
    "preview": with_thumbnail(),
    "second picture": multi_picture(),
    "after the end": picture("JPEG") + b"more",
    "after the end of a png": picture("PNG") + b"more",
    "between segments": picture("JPEG")[:20] + bytes(10) + picture("JPEG")[20:],
    "progressive": encoded(noise(), "JPEG", progressive=True, comment=b"at home"),
    "animation": animation("PNG"),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME.keys())
def test_keeps_a_file_without_metadata(content: bytes) -> None:
    assert without_metadata(content) == content


@pytest.mark.parametrize("content", WITH_METADATA.values(), ids=WITH_METADATA.keys())
def test_keeps_only_the_pixels(content: bytes) -> None:
    stripped = without_metadata(content)
    assert stripped is not None and len(stripped) < len(content)
    assert without_metadata(stripped) == stripped
    with PIL.Image.open(BytesIO(stripped)) as image, PIL.Image.open(BytesIO(content)) as before:
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}
        np.testing.assert_array_equal(np.asarray(image), np.asarray(before))
    assert stripped.count(b"\xff\xd8\xff") <= 1, "a preview or a second picture"


def test_keeps_all_scans() -> None:
    assert without_metadata(many_scans(20)) == many_scans(20)


@pytest.mark.parametrize("content", [b"", b"text", picture("GIF"), picture("WEBP"), picture("JPEG")[:-2]])
def test_other_files_have_no_such_form(content: bytes) -> None:
    assert without_metadata(content) is None


def test_a_png_with_a_wrong_checksum_has_no_such_form() -> None:
    """Browsers stop at such a chunk, and Pillow does not."""
    content = bytearray(picture("PNG"))
    content[content.index(b"IEND") - 5] ^= 1  # the last byte of IDAT's checksum
    assert without_metadata(bytes(content)) is None


@given(st.sampled_from([*SAME.values(), *WITH_METADATA.values()]), st.data())
def test_damaged_files_raise_nothing(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    stripped = without_metadata(bytes(damaged))
    assert stripped is None or without_metadata(stripped) in {stripped, None}
