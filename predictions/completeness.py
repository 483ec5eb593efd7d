"""Does a picture file reach its own end? Answered from its structure, without decoding a pixel.

A full decode at the door would cost as much as a tenth of the classification itself. Walking the file's blocks costs
a small part of that and finds what goes wrong in practice: an upload or a copy that broke off. What is whole but
spoilt inside is found by the worker, which decodes anyway.
"""

import re

# In JPEG's compressed data a 0xFF byte is followed by 0x00 (a literal 0xFF), a restart marker (D0-D7), or fill
# bytes; anything else is the next marker. ITU-T T.81, B.1.1.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END_OF_IMAGE = 0xD9
_PNG_SIGNATURE_LENGTH = 8


def is_complete(content: bytes, image_format: str) -> bool:
    """Whether `content`, known to begin as `image_format`, is all there."""
    check = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif, "WEBP": _webp}[image_format]
    return check(content)


def _jpeg(content: bytes) -> bool:
    """Reaches the end-of-image marker of the main picture (a preview inside the EXIF data has one of its own)."""
    position = 2  # after start-of-image
    scans = 0
    while found := _JPEG_MARKER.search(content, position):
        marker = content[found.end() - 1]
        if marker == _JPEG_END_OF_IMAGE:
            return scans > 0
        scans += marker == _JPEG_START_OF_SCAN
        length = int.from_bytes(content[found.end() : found.end() + 2])
        position = found.end() + max(length, 2)
    return False


def _png(content: bytes) -> bool:
    """Every chunk up to IEND is inside the file (PNG specification, 5.3)."""
    position = _PNG_SIGNATURE_LENGTH
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4])
        kind = content[position + 4 : position + 8]
        position += 12 + length
        if kind == b"IEND":
            return position <= len(content)
    return False


def _gif(content: bytes) -> bool:
    """The first frame, the one that is classified, is inside the file (GIF89a, 15 to 22)."""
    position = 13 + _gif_colour_table(content, 10)
    while position < len(content):
        introducer = content[position]
        if introducer == 0x21:  # an extension: label, then blocks
            position = _gif_blocks_end(content, position + 2)
        elif introducer == 0x2C:  # a frame: descriptor, colour table, code size, then blocks
            data = position + 10 + _gif_colour_table(content, position + 9) + 1
            return 0 < _gif_blocks_end(content, data) <= len(content)
        else:
            return False
        if position < 0:
            return False
    return False


def _gif_colour_table(content: bytes, flags_at: int) -> int:
    """Bytes of the colour table that the flags at this position announce."""
    flags = content[flags_at] if flags_at < len(content) else 0
    return 3 * 2 ** ((flags & 0x07) + 1) if flags & 0x80 else 0


def _gif_blocks_end(content: bytes, position: int) -> int:
    """The position after a row of data blocks, or -1 if the file ends before they do."""
    while position < len(content):
        length = content[position]
        position += 1 + length
        if length == 0:
            return position
    return -1


def _webp(content: bytes) -> bool:
    """As long as its RIFF header says."""
    return len(content) >= 8 + int.from_bytes(content[4:8], "little")
