"""Checks, without decoding a pixel, that an AVIF or HEIC file is complete and can be decoded quickly.

The decoders look at the coded pictures for their sizes, and at a grid for the size that its tiles make together. Both
may be larger than the size that the file states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from predictions.uploads.coded_sizes import MAX_UNITS, av1_sizes, hevc_sizes
from predictions.uploads.complexity import Count, TooComplex
from worker.inference.iso_media import Box, IsoImage, Item, MalformedFile, boxes

# A photo of 50 megapixels has 200 tiles, and a box for each; and about a hundred other boxes.
ISO_MAX_BOXES = 4000
# Of those that list items: 16 bytes for each. Decoders search through all items for each entry.
ISO_MAX_TABLE_BYTES = 2**16
ISO_MAX_METADATA_BYTES = 2**23  # colour profiles have up to 4 MB, texts less
# Decoded pixels for each that is shown: transparency takes as many again, and tiles cover a little more than a grid.
ISO_MAX_DECODED = 3
_SMALL_PIXELS = 2**20  # of a picture that may need more than that
# Coded pictures do not overlap, but a grid may show one tile several times.
ISO_MAX_OVERLAP = 2
_SMALL_BYTES = 2**20  # of coded pictures that may overlap more
ISO_MAX_DEPTH = 3  # a grid, its tiles, and their transparency
ISO_MAX_EXIF_BYTES = 2**20  # Pillow writes the EXIF data anew if their orientation is not that of the file

_MAX_BYTES = {
    b"meta": ISO_MAX_METADATA_BYTES,
    **dict.fromkeys((b"iloc", b"ipma", b"iref"), ISO_MAX_TABLE_BYTES),
}
_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6, b"iref": 4}  # bytes before the first box inside


def examine_iso_media(content: bytes) -> bool:
    """Returns whether all boxes, and the items that the main picture needs, are inside the file.

    Raises `TooComplex`.
    """
    try:
        _count(content, Box(b"", 0, len(content)), Count(ISO_MAX_BOXES))
        image = IsoImage(content)
        pixels = sum(width * height for width, height in _decoded(image, image.primary, _Limits.of(content)))
    except MalformedFile:
        return False
    width, height = image.size(image.primary)
    if pixels > ISO_MAX_DECODED * max(width * height, _SMALL_PIXELS):
        raise TooComplex
    _require_small_metadata(image)
    return True


def _require_small_metadata(image: IsoImage) -> None:
    """Checks the items of metadata, which decoders read whole, and again for each item that they describe."""
    left = Count(ISO_MAX_METADATA_BYTES)
    for item in image.items.values():
        if item.is_compressed or item.kind == b"Exif" and item.byte_count > ISO_MAX_EXIF_BYTES:
            raise TooComplex
    for found in image.references:
        if found.kind == b"cdsc":
            left.add(len(found.others) * image.items.get(found.item, Item()).byte_count)


def _count(content: bytes, outer: Box, left: Count) -> None:
    """Counts the boxes of the metadata. Raises `TooComplex` and `MalformedFile`."""
    for box in boxes(content, outer.start, outer.end):
        left.add()
        length = box.end - box.start
        if length > _MAX_BYTES.get(box.kind, length):
            raise TooComplex
        if box.kind in _CONTAINERS:
            header = _CONTAINERS[box.kind]
            if box.kind == b"iinf" and content[box.start : box.start + 1] != b"\0":
                header = 8
            if length < header:
                raise MalformedFile
            _count(content, Box(box.kind, box.start + header, box.end), left)


@dataclass(frozen=True)
class _Limits:
    """Counts what is read of the items that are decoded, each as often as it is used."""

    items: Count
    byte_count: Count
    units: Count

    @classmethod
    def of(cls, content: bytes) -> _Limits:
        most_bytes = ISO_MAX_OVERLAP * max(len(content), _SMALL_BYTES)
        return cls(Count(ISO_MAX_BOXES), Count(most_bytes), Count(MAX_UNITS))


def _decoded(image: IsoImage, number: int, left: _Limits, depth: int = 0) -> Iterator[tuple[int, int]]:
    """Yields the sizes of all coded pictures that are decoded to show an item. Raises `TooComplex`."""
    left.items.add()
    if depth > ISO_MAX_DEPTH or number not in image.items:
        raise MalformedFile
    item = image.items[number]
    if not item.extents:
        raise MalformedFile
    left.byte_count.add(item.byte_count)
    match item.kind:
        case b"av01":
            yield from av1_sizes(image.content(number), left.units)
        case b"hvc1":
            configuration = next(iter(image.properties(number, b"hvcC")), b"")
            left.byte_count.add(len(configuration))
            yield from hevc_sizes(configuration, image.content(number), left.units)
        case b"grid" if _grid_size(image.content(number)) != image.size(number):
            raise MalformedFile
    for tile in image.needed_by(number, b"dimg"):
        yield from _decoded(image, tile, left, depth + 1)
    for other in image.belonging_to(number, b"auxl"):
        if image.is_transparency(other):
            yield from _decoded(image, other, left, depth + 1)


def _grid_size(content: bytes) -> tuple[int, int]:
    """Returns the size of a grid of tiles (ISO/IEC 23008-12, 6.6.2.3)."""
    length = 4 if content[1:2] == b"\1" else 2
    return int.from_bytes(content[4 : 4 + length]), int.from_bytes(content[4 + length : 4 + 2 * length])
