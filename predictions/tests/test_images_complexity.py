"""Files with very many parts are rejected quickly, and before Pillow reads them."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

import PIL.Image
import pytest

from predictions.exceptions import RequestRejected
from predictions.tests.fakes import upload
from predictions.tests.pictures import encoded, many_scans, picture, rle_bmp, tiff
from predictions.uploads import coded_sizes, image_structure, iso_media_structure, tiff_structure
from predictions.uploads import validation as images
from predictions.uploads.coded_sizes import _av1_units
from worker.inference.iso_media import IsoImage, boxes
from worker.inference.tests import iso_files
from worker.inference.tests.iso_files import heic, heic_grid

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


def _tags(number: int) -> bytes:
    return tiff(*((tag, 3, 1, 0) for tag in range(1000, 1000 + number - 9)))  # the other 9 describe the picture


def _strips(number: int) -> bytes:
    """A TIFF with this many strips, of which the first 24 have a row each."""
    arrays = struct.pack("<I", 8) * number + bytes(4 * number)
    start = 8 + 32 * 24
    places = [(273, 4, number, start), (279, 4, number, start + 4 * number), (278, 3, 1, 1)]
    return tiff(*places, pixels=bytes(32 * 24) + arrays)


def _jpeg_scans(number: int) -> bytes:
    """A TIFF with JPEG data that have this many scans."""
    pixels = picture("JPEG")
    scan = pixels[pixels.index(b"\xff\xda") : -2]
    return tiff((259, 3, 1, 7), pixels=pixels[:-2] + scan * (number - 1) + pixels[-2:])


def _boxes(number: int) -> bytes:
    content = heic()
    return content + iso_files.box(b"free") * (number - 13)  # the file has 13 of its own


def _frames(number: int) -> bytes:
    """An AVIF with this many headers and frames."""
    coded = iso_files.av1()
    (frame_at,) = (start for kind, start, _end in _av1_units(coded.content) if kind == 6)
    header, frame = coded.content[: frame_at - 3], coded.content[frame_at - 3 :]
    return _file_of(replace(coded, content=header + frame * (number - 1)))


def _pictures(number: int) -> bytes:
    """A HEIC with this many sequence parameters and pictures."""
    return _file_of(replace(iso_files.HEVC, content=iso_files.HEVC.content * (number - 1)))


def _units(number: int) -> bytes:
    """A HEIC with this many units, most of them empty."""
    own = 3  # three in the configuration and one with pixels, and the last empty one is not read
    return _file_of(replace(iso_files.HEVC, content=iso_files.HEVC.content + bytes(4) * (number - own)))


def _one_tile_very_often() -> bytes:
    """An AVIF whose grid shows one large tile 3,000 times."""
    file = iso_files.IsoFile(b"avif")
    grid = file.add(b"grid", struct.pack(">BBBBHH", 0, 0, 59, 49, 64, 64), iso_files.size(64, 64))
    tile = file.add(b"av01", b"\x7a\x80\x80\x40" + bytes(2**20), iso_files.size(64, 64))  # padding
    file.refer(b"dimg", grid, *[tile] * 3000)
    return file.content()


def _file_of(coded: iso_files.Coded) -> bytes:
    file = iso_files.IsoFile(b"avif" if coded.kind == b"av01" else b"heic")
    file.add_coded(coded)
    return file.content()


PARTS: dict[Callable[[int], bytes], int] = {
    many_scans: image_structure.JPEG_MAX_SCANS,
    _segments: image_structure.JPEG_MAX_SEGMENTS,
    _loose_bytes: image_structure.JPEG_MAX_LOOSE_BYTES,
    _chunks: image_structure.PNG_MAX_CHUNKS,
    _blocks: image_structure.GIF_MAX_BLOCKS,
    _extensions: image_structure.GIF_MAX_EXTENSIONS,
    _tags: tiff_structure.TIFF_MAX_TAGS,
    _strips: tiff_structure.TIFF_MAX_STRIPS,
    _jpeg_scans: tiff_structure.TIFF_MAX_SCANS_OF_STRIP,
    _boxes: iso_media_structure.ISO_MAX_BOXES,
    _frames: coded_sizes.MAX_FRAMES,
    _pictures: coded_sizes.MAX_FRAMES,
    _units: coded_sizes.MAX_UNITS,
}


@pytest.mark.parametrize("made_of", PARTS)
def test_accepts_parts_up_to_the_limit(made_of: Callable[[int], bytes]) -> None:
    assert images.validate(upload(made_of(PARTS[made_of])))
    with pytest.raises(RequestRejected) as caught:
        images.validate(upload(made_of(PARTS[made_of] + 1)))
    assert (caught.value.code, caught.value.status) == ("too-complex", 400)


def _larger_than_stated() -> bytes:
    """An AVIF of 16 million pixels that says that it has 64 x 64."""
    parsed = IsoImage(encoded(PIL.Image.new("L", (4000, 4000)), "AVIF", speed=10))
    configuration = parsed.properties(parsed.primary, b"av1C")[0]
    return _file_of(iso_files.Coded(b"av01", configuration, parsed.content(parsed.primary)))


def _compressed_metadata() -> bytes:
    info = iso_files.full_box(b"infe", struct.pack(">HH4s", 9, 0, b"mime"), b"\0a/b\0deflate\0", version=2)
    return _with_infos(heic(), info)


def _with_infos(content: bytes, *infos: bytes) -> bytes:
    """Adds descriptions of items to `heic()`, in a second file whose metadata come last."""
    (start, end) = next((box.start - 8, box.end) for box in boxes(content, 0, len(content)) if box.kind == b"meta")
    meta, at = content[start:end], content.index(b"iinf") - 4
    length = int.from_bytes(content[at : at + 4])
    added = b"".join(infos)
    count = int.from_bytes(content[at + 12 : at + 14]) + len(infos)
    grown = struct.pack(">I", length + len(added)) + content[at + 4 : at + 12] + struct.pack(">H", count)
    grown += content[at + 14 : at + length] + added
    meta = meta[: at - start] + grown + meta[at - start + length :]
    meta = struct.pack(">I", len(meta)) + meta[4:]
    # The pixels stay where they are: what was the metadata is free space now.
    return content[:start] + struct.pack(">I4s", end - start, b"free") + content[start + 8 :] + meta


def _endless_tiff() -> bytes:
    """A TIFF whose EXIF data are the page itself."""
    return tiff((34665, 4, 1, 8 + 32 * 24))


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
    "BMP, runs of a wide picture": rle_bmp(30_000, 8, runs=b"\0\2\0\xff"),
    "BMP, more codes than pixels": rle_bmp(64, 8, runs=b"\0\0" * 4_000_000),
    "TIFF, a large tile": tiff((322, 4, 1, 60_000), (323, 4, 1, 60_000)),
    "TIFF, many numbers": tiff((1000, 12, 2_000_000, 8), pixels=bytes(16_000_000)),
    "TIFF, many strips in numbers of 64 bits": tiff((273, 16, 500_000, 8), (324, 4, 1, 8), pixels=bytes(4_000_000)),
    "TIFF, strips over one another": tiff((273, 4, 9, 8), (279, 4, 9, 8), pixels=struct.pack("<I", 900) * 250),
    "TIFF, EXIF data in themselves": _endless_tiff(),
    "HEIC, a large grid that is stated to be small": heic_grid(3, 3, stated=(64, 64)),
    "HEIC, a small grid that is stated to be large": heic_grid(2, 2, stated=(9000, 5000)),
    "HEIC, many items": _with_infos(heic(), *[iso_files.full_box(b"infe", b"\0\1\0\0hvc1\0", version=2)] * 9000),
    "HEIC, empty units": _units(4_000_000),
    "AVIF, empty units": _file_of(iso_files.Coded(b"av01", b"", b"\x12\0" * 8_000_000)),
    "AVIF, one tile very often": _one_tile_very_often(),
    "HEIC, compressed metadata": _compressed_metadata(),
    "AVIF, larger than stated": _larger_than_stated(),
}


@pytest.mark.parametrize("name", JUNK)
def test_rejects_junk_before_pillow_reads_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "open", None)
    started = time.process_time()
    with pytest.raises(RequestRejected) as caught:
        images.validate(upload(JUNK[name]))
    assert caught.value.code in {"too-complex", "incomplete"}
    assert time.process_time() - started < 0.5  # seconds
