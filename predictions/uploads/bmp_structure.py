"""Checks, without decoding a pixel, that a BMP file is complete and can be decoded quickly."""

from __future__ import annotations

from predictions.uploads.complexity import TooComplex

# Pillow decodes run-length encoding in Python, and one code of it may skip 255 rows.
RLE_MAX_SIDE = 2048  # pixels; such files are old, and small drawings
RLE_MAX_TRAILER = 65_536  # bytes after the pixels, which Pillow reads as codes, too

_CORE_HEADER_BYTES = 12  # of OS/2: sizes of 16 bits
_INFO_HEADER_BYTES = 40
_RUN_LENGTH_ENCODED = frozenset({1, 2})


def examine_bmp(content: bytes) -> bool:
    """Returns whether all pixels are inside the file. Raises `TooComplex`."""
    pixels_at = _number(content, 10)
    header_bytes = _number(content, 14)
    if len(content) < 14 + max(header_bytes, _CORE_HEADER_BYTES):
        return False
    if header_bytes < _INFO_HEADER_BYTES:
        width, height, bits = _number(content, 18, 2), _number(content, 20, 2), _number(content, 24, 2)
        return _is_inside(content, pixels_at, width, height, bits)
    width, height, bits = _number(content, 18), abs(_number(content, 22, signed=True)), _number(content, 28, 2)
    if _number(content, 30) not in _RUN_LENGTH_ENCODED:
        return _is_inside(content, pixels_at, width, height, bits)
    # No code for a pixel takes more than two bytes, and one more code ends each row.
    longest = 2 * (width + 1) * height + RLE_MAX_TRAILER
    if max(width, height) > RLE_MAX_SIDE or len(content) - pixels_at > longest:
        raise TooComplex
    return pixels_at + _number(content, 34) <= len(content)


def _is_inside(content: bytes, pixels_at: int, width: int, height: int, bits: int) -> bool:
    """Whether the file is long enough. Each row is padded to whole groups of four bytes."""
    return pixels_at + (width * bits + 31) // 32 * 4 * height <= len(content)


def _number(content: bytes, position: int, length: int = 4, *, signed: bool = False) -> int:
    return int.from_bytes(content[position : position + length], "little", signed=signed)
