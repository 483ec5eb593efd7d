"""Validation of arbitrary bytes: it accepts or rejects them and raises nothing else."""

from __future__ import annotations

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from predictions.exceptions import RequestRejected
from predictions.models import Image
from predictions.tests import pictures
from predictions.tests.fakes import upload
from predictions.uploads import validation as images
from predictions.uploads.complexity import TooComplex
from predictions.uploads.image_structure import examine
from worker.inference.tests.iso_files import heic, heic_grid, rotation

WHOLE = [
    *pictures.of_each_format().values(),
    pictures.rle_bmp(),
    pictures.picture("TIFF", compression="tiff_lzw"),
    heic(rotation(1), alpha=True),
    heic_grid(2, 2),
    pictures.animation(),
    pictures.with_thumbnail(),
    pictures.multi_picture(),
    pictures.rotated(),
]
MAGIC = [
    b"",
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    b"BM",
    b"II*\x00\x08\x00\x00\x00",
    b"MM\x00*\x00\x00\x00\x08",
    b"\x00\x00\x00\x10ftypheic",
    heic()[:200],
]


@given(st.sampled_from(MAGIC), st.binary(max_size=2000))
@example(b"GIF89a", b"\x10\x00\x10\x00\x80\x00\x00")
def test_arbitrary_bytes_raise_no_other_error(magic: bytes, rest: bytes) -> None:
    with contextlib.suppress(RequestRejected):
        images.validate(upload(magic + rest))


@settings(max_examples=300)
@given(st.data(), st.sampled_from(WHOLE))
def test_changed_files_raise_no_other_error(data: st.DataObject, content: bytes) -> None:
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert"])):
            case "set":
                changed[at] = data.draw(st.integers(0, 255))
            case "cut":
                del changed[at : at + data.draw(st.integers(0, 40))]
            case _:
                changed[at:at] = data.draw(st.binary(max_size=40))
        if not changed:
            break
    with contextlib.suppress(RequestRejected):
        validated = images.validate(upload(bytes(changed)))
        assert validated.content == changed
        assert validated.format in Image.Format


@given(st.sampled_from(MAGIC), st.binary(max_size=500))
def test_the_structure_of_arbitrary_bytes_raises_no_other_error(magic: bytes, rest: bytes) -> None:
    with contextlib.suppress(TooComplex):
        examine(magic + rest)
