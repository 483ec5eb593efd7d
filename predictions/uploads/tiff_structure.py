"""Checks, without decoding a pixel, that the first page of a TIFF file is complete and can be decoded quickly.

Pillow and libtiff read numbers of any count, and strips and tiles of any size, from wherever a tag points to. The tags
of the first page are counted here before. Those of other pages are not read.
"""

from __future__ import annotations

import math
import struct

from predictions.uploads.complexity import Count, TooComplex

# Photos have 20 to 60 tags, those of microscopes and maps a hundred.
TIFF_MAX_TAGS = 1000
# A strip may be a single row. Pillow makes a decoder for each.
TIFF_MAX_STRIPS = 20_000
# Each strip has two: its offset and its length.
TIFF_MAX_NUMBERS = 4 * TIFF_MAX_STRIPS
# libtiff decodes a whole tile, however small the picture is. Usual tiles have 256 x 256 or 512 x 512 pixels.
TIFF_MAX_TILE_PIXELS = 2**22
# JPEG data have one scan for each strip, or three.
TIFF_MAX_SCANS_OF_STRIP = 4
# Strips do not overlap, but some writers state the lengths of empty ones wrongly.
TIFF_MAX_OVERLAP = 2

_ENDIAN = {b"II*\0": "<", b"MM\0*": ">"}
_UNIT_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_TEXTS = frozenset({1, 2, 7})  # BYTE, ASCII, UNDEFINED: read as they are
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q"}

_WIDTH, _HEIGHT, _COMPRESSION = 256, 257, 259
_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_LENGTHS = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_LENGTHS = 322, 323, 324, 325
_SAMPLES, _PLANES, _SEPARATE_PLANES = 277, 284, 2
_DIRECTORIES = (34665, 34853, 40965)  # EXIF, place, interoperability
_JPEG = 7


class _Page:
    """The tags of one directory, as Pillow reads them."""

    def __init__(self, content: bytes, endian: str) -> None:
        self.content = content
        self.endian = endian
        self.is_inside = True
        self._places: dict[int, tuple[str, int]] = {}  # tag -> format and position of its integers

    def read(self, position: int, tags: Count, numbers: Count) -> _Page:
        """Reads the directory at a position. `is_inside` says afterwards whether all of it is inside the file."""
        end = position + 2
        if end <= len(self.content):
            (count,) = self._unpack("H", position)
            tags.add(count)
            end += 12 * count + 4
        if end > len(self.content):
            self.is_inside = False
            return self
        for entry in range(position + 2, end - 4, 12):
            self._add(entry, numbers)
        return self

    def _add(self, entry: int, numbers: Count) -> None:
        number, kind, count, start = self._unpack("HHII", entry)
        if kind not in _UNIT_BYTES:
            return
        if kind not in _TEXTS:
            numbers.add(count)
        length = count * _UNIT_BYTES[kind]
        if length <= 4:
            start = entry + 8
        if start + length > len(self.content):
            self.is_inside = False
        elif kind in _INTEGERS:
            self._places.setdefault(number, (f"{count}{_INTEGERS[kind]}", start))  # Pillow takes the first of two

    def integers(self, tag: int) -> tuple[int, ...]:
        """Returns the values of a tag of integers; none if there is no such tag."""
        return self._unpack(*self._places[tag]) if tag in self._places else ()

    def integer(self, tag: int, default: int = 0) -> int:
        return next(iter(self.integers(tag)), default)

    def _unpack(self, form: str, position: int) -> tuple[int, ...]:
        return struct.unpack_from(self.endian + form, self.content, position)


def examine_tiff(content: bytes) -> bool:
    """Returns whether the tags and all strips or tiles of the first page are inside the file.

    Files that `open_image` rejects may pass. Raises `TooComplex`.
    """
    endian = _ENDIAN.get(content[:4])
    if endian is None or len(content) < 8:
        return endian is None  # BigTIFF, which `open_image` rejects
    tags, numbers = Count(TIFF_MAX_TAGS), Count(TIFF_MAX_NUMBERS)
    position = int.from_bytes(content[4:8], "little" if endian == "<" else "big")
    page = _Page(content, endian).read(position, tags, numbers)
    # Pillow reads these directories, which may be in one another, together with the first page.
    directories = [page]
    for directory in directories:
        directories.extend(
            _Page(content, endian).read(start, tags, numbers)
            for tag in _DIRECTORIES
            if (start := directory.integer(tag)) > 0
        )
    return page.is_inside and _examine_strips(page)


def _examine_strips(page: _Page) -> bool:
    width, height = page.integer(_WIDTH), page.integer(_HEIGHT)
    tile = page.integer(_TILE_WIDTH), page.integer(_TILE_HEIGHT)
    offsets = page.integers(_STRIP_OFFSETS) or page.integers(_TILE_OFFSETS)
    lengths = page.integers(_STRIP_LENGTHS) or page.integers(_TILE_LENGTHS)
    if tile[0] * tile[1] > TIFF_MAX_TILE_PIXELS or len(offsets) > TIFF_MAX_STRIPS:
        raise TooComplex
    if all(tile):
        needed = math.ceil(width / tile[0]) * math.ceil(height / tile[1])
    else:
        needed = math.ceil(height / max(page.integer(_ROWS_PER_STRIP, height), 1))
    if page.integer(_PLANES, 1) == _SEPARATE_PLANES:
        needed *= page.integer(_SAMPLES, 1)
    if not needed <= len(offsets) <= len(lengths):
        return False
    strips = list(zip(offsets, lengths, strict=False))
    if any(offset + length > len(page.content) for offset, length in strips):
        return False
    if sum(lengths) > TIFF_MAX_OVERLAP * len(page.content):
        raise TooComplex
    if page.integer(_COMPRESSION) == _JPEG:
        scans = Count(TIFF_MAX_SCANS_OF_STRIP * len(strips))
        for offset, length in strips:
            scans.add(page.content.count(b"\xff\xda", offset, offset + length))
    return True
