"""PNG files with chunks that Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from worker.inference.png_chunks import SIGNATURE


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Inserts chunks after the header of a file."""
    end_of_header = len(SIGNATURE) + 25
    return png[:end_of_header] + b"".join(chunks) + png[end_of_header:]


def png(width: int, height: int, depth: int, colour_type: int, rows: Iterable[bytes], *chunks: bytes) -> bytes:
    """A file with any number of bits a channel. Each row is given as its bytes."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return SIGNATURE + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chromaticity(white: tuple[float, ...], primaries: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in (*white, *primaries))))


def profile(content: bytes) -> bytes:
    return chunk(b"iCCP", b"name\0\0" + zlib.compress(content))


def cicp(primaries: int, curve: int, matrix: int = 0, full_range: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, curve, matrix, full_range]))
