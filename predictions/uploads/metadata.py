"""Removes from a picture file what is not the picture: place and time, camera, comments, profiles, further pictures.

The pixels are not decoded, and stay as they are. What changes how they are shown (a colour profile, an orientation) is
removed too; `worker.inference.rendering` applies it where it matters.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from predictions.uploads.image_structure import JPEG_BARE, JPEG_END_OF_IMAGE, JPEG_MARKER, JPEG_START_OF_SCAN
from worker.inference import png_chunks

_JPEG_APP0, _JPEG_APP14, _JPEG_APP15, _JPEG_COMMENT = 0xE0, 0xEE, 0xEF, 0xFE
_JFIF_BYTES = 16  # of a JFIF segment without a preview

# The pixels, and the statement that they are sRGB.
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"sRGB", b"IDAT", b"IEND"})


def without_metadata(content: bytes) -> bytes | None:
    """Returns a JPEG or PNG file without its metadata, or the same bytes if it has none.

    Returns None for other formats, and for a file that programs may read differently because it is damaged.
    """
    parts: list[bytes] | None = None
    if content.startswith(b"\xff\xd8\xff"):
        parts = _joined(_jpeg_parts(content))
    elif content.startswith(png_chunks.SIGNATURE):
        parts = _joined(_png_parts(content))
    return None if parts is None else b"".join(parts)


def _joined(parts: Iterator[bytes | None]) -> list[bytes] | None:
    found = list(parts)
    return None if None in found else [part for part in found if part is not None]


def _jpeg_parts(content: bytes) -> Iterator[bytes | None]:
    """Yields the parts of a JPEG file that make the first picture; None at its premature end."""
    yield content[:2]
    position, in_header = 2, True
    while found := JPEG_MARKER.search(content, position):
        if not in_header:
            yield content[position : found.start()]  # compressed data
        marker = content[found.end() - 1]
        if marker == JPEG_END_OF_IMAGE:
            yield content[found.start() : found.end()]
            return
        length = 0 if marker in JPEG_BARE else max(int.from_bytes(content[found.end() : found.end() + 2]), 2)
        position = found.end() + length
        segment = content[found.start() : position]
        if marker == JPEG_START_OF_SCAN:
            in_header = False
        if not _is_jpeg_metadata(marker, segment):
            yield segment
    yield None


def _is_jpeg_metadata(marker: int, segment: bytes) -> bool:
    if marker == _JPEG_APP0:
        return not segment.startswith(b"JFIF\0", 4) or len(segment) != 2 + _JFIF_BYTES
    if marker == _JPEG_APP14:
        return not segment.startswith(b"Adobe", 4)  # says how the colours are encoded
    return marker == _JPEG_COMMENT or _JPEG_APP0 < marker <= _JPEG_APP15


def _png_parts(content: bytes) -> Iterator[bytes | None]:
    """Yields the chunks of a PNG file that make the picture; None at a chunk that is damaged."""
    yield png_chunks.SIGNATURE
    position = len(png_chunks.SIGNATURE)
    while position + 12 <= len(content):
        kind = content[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(content[position : position + 4])
        if kind in _PNG_KEPT:
            if zlib.crc32(content[position + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
                yield None
            yield content[position:end]
        if kind == b"IEND":
            return
        position = end
    yield None
