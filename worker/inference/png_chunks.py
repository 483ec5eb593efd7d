"""Reads what Pillow does not read of a PNG file: the cICP chunk, and colour profiles that Pillow rejects."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def header_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields (type, start, end) of each chunk before the pixels. `start` and `end` enclose the whole chunk."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        kind = data[position + 4 : position + 8]
        if kind in {b"IDAT", b"fdAT", b"IEND"}:
            return
        end = position + 12 + int.from_bytes(data[position : position + 4])
        yield kind, position, end
        position = end


def content(data: bytes, kind: bytes) -> bytes | None:
    """Returns the content of the first chunk of this type before the pixels."""
    return next((data[start + 8 : end - 4] for found, start, end in header_chunks(data) if found == kind), None)


def without_profiles(data: bytes) -> bytes:
    """Returns the file without its iCCP chunks. Pillow rejects a file whose profile is malformed or above 1 MB."""
    if not data.startswith(SIGNATURE):
        return data
    kept, position = [], 0
    for kind, start, end in header_chunks(data):
        if kind == b"iCCP":
            kept.append(data[position:start])
            position = end
    return b"".join([*kept, data[position:]]) if kept else data


def profile(data: bytes, max_bytes: int) -> bytes | None:
    """Returns up to `max_bytes` of the file's colour profile (PNG specification, 11.3.2.3)."""
    _name, _zero, packed = (content(data, b"iCCP") or b"").partition(b"\0")
    if packed[:1] != b"\0":  # the only compression method
        return None
    try:
        return zlib.decompressobj().decompress(packed[1:], max_bytes)
    except zlib.error:
        return None
