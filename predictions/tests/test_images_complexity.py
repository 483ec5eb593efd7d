"""Files with very many parts are rejected quickly, and before Pillow reads them."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import PIL.Image
import pytest

from predictions.exceptions import RequestRejected
from predictions.tests.fakes import upload
from predictions.tests.pictures import many_scans, picture
from predictions.uploads import image_structure
from predictions.uploads import validation as images

FRAME = b",\0\0\0\0\x20\0\x18\0\0\x08"
GIF = b"GIF89a\x20\0\x18\0\0\0\0"


def _segments(number: int) -> bytes:
    content = picture("JPEG")
    own = sum(content.count(bytes([0xFF, marker])) for marker in (0xE0, 0xDB, 0xC0, 0xC4, 0xDA))
    return content[:2] + b"\xff\xfe\0\x02" * (number - own) + content[2:]


def _loose_bytes(number: int) -> bytes:
    content = picture("JPEG")
    return content[:2] + b"\xff" * number + content[2:]


def _chunks(number: int) -> bytes:
    content = picture("PNG")
    assert content.count(b"IDAT") == 1
    empty = struct.pack(">I4sI", 0, b"teSt", zlib.crc32(b"teSt"))
    return content[:33] + empty * (number - 3) + content[33:]  # IHDR, IDAT, IEND


def _blocks(number: int) -> bytes:
    return GIF + FRAME + b"\x01x" * number + b"\0;"


def _extensions(number: int) -> bytes:
    return GIF + b"!\xfe\x01x\0" * number + FRAME + b"\x01x\0;"


PARTS: dict[Callable[[int], bytes], int] = {
    many_scans: image_structure.JPEG_MAX_SCANS,
    _segments: image_structure.JPEG_MAX_SEGMENTS,
    _loose_bytes: image_structure.JPEG_MAX_LOOSE_BYTES,
    _chunks: image_structure.PNG_MAX_CHUNKS,
    _blocks: image_structure.GIF_MAX_BLOCKS,
    _extensions: image_structure.GIF_MAX_EXTENSIONS,
}


@pytest.mark.parametrize("made_of", PARTS)
def test_accepts_parts_up_to_the_limit(made_of: Callable[[int], bytes]) -> None:
    assert images.validate(upload(made_of(PARTS[made_of])))
    with pytest.raises(RequestRejected) as caught:
        images.validate(upload(made_of(PARTS[made_of] + 1)))
    assert (caught.value.code, caught.value.status) == ("too-complex", 400)


JUNK: dict[str, bytes] = {
    "JPEG, segments": _segments(4_000_000),
    "JPEG, loose bytes": _loose_bytes(16_000_000),
    "JPEG, bare markers": b"\xff\xd8" + b"\xff\xf0" * 8_000_000 + picture("JPEG")[2:],
    "JPEG, scans after a meaningless marker": many_scans(10)[:-2]
    + (b"\xff\x02\xff\xff" + many_scans(60)[-1000:-2]) * 1000
    + b"\xff\xd9",
    "PNG": _chunks(1_300_000),
    "GIF, blocks": _blocks(8_000_000),
    "GIF, extensions": _extensions(3_000_000),
    "GIF, no blocks at all": GIF + b"\0" * 16_000_000 + FRAME + b"\x01x\0;",
    "GIF, an empty extension": GIF + b"!\xf9\0" + FRAME + (b"\xff" + b"\x01x" * 127 + b"\x01") * 60_000 + b"\0;",
    "GIF, an empty loop count": GIF + b"!\xff\x0bNETSCAPE2.0\0" + FRAME + b"\x01x\0;",
}


@pytest.mark.parametrize("name", JUNK)
def test_rejects_junk_before_pillow_reads_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "open", None)
    started = time.process_time()
    with pytest.raises(RequestRejected) as caught:
        images.validate(upload(JUNK[name]))
    assert caught.value.code in {"too-complex", "incomplete"}
    assert time.process_time() - started < 0.5  # seconds
