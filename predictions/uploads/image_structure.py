"""Does a picture file reach its own end, in a bearable number of steps? Answered without decoding a pixel.

A full decode at the door would cost as much as a tenth of the classification itself. Walking the file's blocks costs
a small part of that and finds what goes wrong in practice: an upload or a copy that broke off. What is whole but
corrupt inside is found by the worker, which decodes anyway.

The walk comes before Pillow opens the file, which walks the same blocks. Where the two could fall out of step, so that
Pillow walks on through blocks that were not counted here, the walk follows Pillow or does not find the end.
"""

import re

# Bounds for what makes decoders slow without making the file large; no bearable picture comes near them.
#
# Every progressive scan goes through the whole picture again. libjpeg's default script has 10 scans for colour and 18
# for CMYK (`jpeg_simple_progression`).
JPEG_MAX_SCANS = 50
# Each scan brings up to five segments (DHT, DQT, DRI, COM, SOS): 250. Metadata come in pieces of 64 KB: 20 MB are 320.
# Not far above that, because Pillow copies the Exif data anew for each piece of them.
JPEG_MAX_SEGMENTS = 1000
# Pillow skips what stands between the segments of the header byte by byte. Nothing but fill bytes should stand there.
JPEG_MAX_LOOSE_BYTES = 10_000
# libpng writes IDAT chunks of 8 KB: 20 MB are 2,500.
PNG_MAX_CHUNKS = 20_000
# Blocks hold up to 255 bytes, and encoders fill them: 50 MB are 200,000.
GIF_MAX_BLOCKS = 200_000
# Before the first frame there are a handful: loop count, delay and transparency, comment, XMP, colour profile.
GIF_MAX_EXTENSIONS = 5000

# In JPEG's compressed data a 0xFF byte is followed by 0x00 (a literal 0xFF), a restart marker (D0-D7), or fill
# bytes; anything else is the next marker. ITU-T T.81, B.1.1.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END_OF_IMAGE = 0xD9
# Markers without a length behind them: by the standard, or for Pillow and libjpeg, which look at the very next byte.
_JPEG_BARE = frozenset({*range(0x01, 0xC0), 0xC8, 0xD8, *range(0xF0, 0xFE)})
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GIF_COMMENT = 0xFE
_GIF_LOOP_COUNT = b"\x0bNETSCAPE2.0"


class TooComplex(Exception):
    """The file is made of more parts than a picture has use for."""


class _Count:
    """Counts up to a bound. Raises `TooComplex` past it."""

    def __init__(self, at_most: int) -> None:
        self.left = at_most

    def add(self, number: int = 1) -> None:
        self.left -= number
        if self.left < 0:
            raise TooComplex


def examine(content: bytes) -> bool:
    """Whether the file is all there, as far as its format is known here: one that is not is for Pillow to refuse.

    Raises `TooComplex`.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content.startswith(_PNG_SIGNATURE):
        return _png(content)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return _gif(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    return True


def _jpeg(content: bytes) -> bool:
    """Reaches the end-of-image marker of the main picture (a preview inside the EXIF data has one of its own)."""
    scans, segments, loose = _Count(JPEG_MAX_SCANS), _Count(JPEG_MAX_SEGMENTS), _Count(JPEG_MAX_LOOSE_BYTES)
    position = 2  # after start-of-image
    in_header = True
    while True:
        found = _JPEG_MARKER.search(content, position)
        if in_header:
            loose.add((found.start() if found else len(content)) - position)
        if not found:
            return False
        marker = content[found.end() - 1]
        if marker == _JPEG_END_OF_IMAGE:
            return not in_header
        segments.add()
        if marker == _JPEG_START_OF_SCAN:
            scans.add()
            in_header = False
        length = 0 if marker in _JPEG_BARE else max(int.from_bytes(content[found.end() : found.end() + 2]), 2)
        position = found.end() + length


def _png(content: bytes) -> bool:
    """Every chunk up to IEND is inside the file (PNG specification, 5.3)."""
    chunks = _Count(PNG_MAX_CHUNKS)
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(content):
        chunks.add()
        length = int.from_bytes(content[position : position + 4])
        kind = content[position + 4 : position + 8]
        position += 12 + length
        if kind == b"IEND":
            return position <= len(content)
    return False


def _gif(content: bytes) -> bool:
    """The first frame, the one that is classified, is inside the file (GIF89a, 15 to 22)."""
    extensions, blocks = _Count(GIF_MAX_EXTENSIONS), _Count(GIF_MAX_BLOCKS)
    position = 13 + _gif_colour_table(content, 10)
    while 0 < position < len(content):
        introducer = content[position]
        if introducer == 0x2C:  # a frame: descriptor, colour table, code size, then blocks
            data = position + 10 + _gif_colour_table(content, position + 9) + 1
            return 0 < _gif_blocks_end(content, data, blocks) <= len(content)
        if introducer != 0x21 or _gif_reads_on(content, position):
            return False
        extensions.add()  # label, then blocks
        position = _gif_blocks_end(content, position + 2, blocks)
    return False


def _gif_reads_on(content: bytes, position: int) -> bool:
    """Whether Pillow takes the end of this extension for its beginning, and what follows for more of its blocks.

    It does so where an extension, or the loop count behind its name, is empty: that is not allowed anyway.
    """
    if content[position + 1 : position + 2] == bytes([_GIF_COMMENT]):
        return False
    return content.startswith((b"\x00", _GIF_LOOP_COUNT + b"\x00"), position + 2)


def _gif_colour_table(content: bytes, flags_at: int) -> int:
    """Bytes of the colour table that the flags at this position announce."""
    flags = content[flags_at] if flags_at < len(content) else 0
    return 3 * 2 ** ((flags & 0x07) + 1) if flags & 0x80 else 0


def _gif_blocks_end(content: bytes, position: int, blocks: _Count) -> int:
    """The position after a row of data blocks, or -1 if the file ends before they do."""
    while position < len(content):
        length = content[position]
        position += 1 + length
        if length == 0:
            return position
        blocks.add()
    return -1


def _webp(content: bytes) -> bool:
    """As long as its RIFF header says."""
    return len(content) >= 8 + int.from_bytes(content[4:8], "little")
