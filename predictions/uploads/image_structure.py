"""Checks, without decoding a pixel, that a picture file is complete and has a limited number of parts.

A full decode in the web process would cost a tenth of the classification itself. Walking the file's blocks costs a
small part of that and finds the damage that occurs in practice: an upload or a copy that was cut off. The worker finds
a complete file with corrupt pixels, because it decodes it anyway.

The walk comes before Pillow opens the file and walks the same blocks. Pillow must not read blocks that were not counted
here. Where Pillow reads a file differently from the standard, this walk does the same, or reports it as incomplete.
"""

import re

from predictions.uploads.bmp_structure import examine_bmp
from predictions.uploads.complexity import Count
from predictions.uploads.iso_media_structure import examine_iso_media
from predictions.uploads.tiff_structure import examine_tiff
from worker.inference.iso_media import is_iso_image

# Limits for parts that make decoders slow without making the file large. Real pictures stay far below them.
#
# Each progressive scan passes over the whole picture again. libjpeg's default script has 10 scans for colour and 18
# for CMYK (`jpeg_simple_progression`).
JPEG_MAX_SCANS = 50
# Each scan has up to five segments (DHT, DQT, DRI, COM, SOS): 250. Metadata come in segments of 64 KB: 320 for 20 MB.
# The limit is not far above that, because Pillow copies the EXIF data again for each of its segments.
JPEG_MAX_SEGMENTS = 1000
# Pillow skips bytes between the segments of the header one by one. Only fill bytes belong there.
JPEG_MAX_LOOSE_BYTES = 10_000
# libpng writes IDAT chunks of 8 KB: 2,500 for 20 MB.
PNG_MAX_CHUNKS = 20_000
# Encoders fill blocks up to their 255 bytes: 200,000 for 50 MB.
GIF_MAX_BLOCKS = 200_000
# A handful come before the first frame: loop count, delay and transparency, comment, XMP, colour profile.
GIF_MAX_EXTENSIONS = 5000

# In JPEG's compressed data a 0xFF byte is followed by 0x00 (a literal 0xFF), a restart marker (D0-D7), or fill
# bytes; anything else is the next marker. ITU-T T.81, B.1.1.
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
JPEG_START_OF_SCAN = 0xDA
JPEG_END_OF_IMAGE = 0xD9
# Markers without a length field: by the standard, or because Pillow and libjpeg continue with the next byte.
JPEG_BARE = frozenset({*range(0x01, 0xC0), 0xC8, 0xD8, *range(0xF0, 0xFE)})
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GIF_COMMENT = 0xFE
_GIF_LOOP_COUNT = b"\x0bNETSCAPE2.0"


def examine(content: bytes) -> bool:
    """Returns whether the file is complete. Files of other formats pass: Pillow rejects them.

    Raises `complexity.TooComplex`.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content.startswith(_PNG_SIGNATURE):
        return _png(content)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return _gif(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    if content.startswith(b"BM"):
        return examine_bmp(content)
    if content.startswith((b"II", b"MM")):
        return examine_tiff(content)
    if is_iso_image(content):
        return examine_iso_media(content)
    return True


def _jpeg(content: bytes) -> bool:
    """Whether the end-of-image marker of the main picture is there. A preview in the EXIF data has its own."""
    scans, segments, loose = Count(JPEG_MAX_SCANS), Count(JPEG_MAX_SEGMENTS), Count(JPEG_MAX_LOOSE_BYTES)
    position = 2  # after start-of-image
    in_header = True
    while True:
        found = JPEG_MARKER.search(content, position)
        if in_header:
            loose.add((found.start() if found else len(content)) - position)
        if not found:
            return False
        marker = content[found.end() - 1]
        if marker == JPEG_END_OF_IMAGE:
            return not in_header
        segments.add()
        if marker == JPEG_START_OF_SCAN:
            scans.add()
            in_header = False
        length = 0 if marker in JPEG_BARE else max(int.from_bytes(content[found.end() : found.end() + 2]), 2)
        position = found.end() + length


def _png(content: bytes) -> bool:
    """Whether every chunk up to IEND is inside the file (PNG specification, 5.3)."""
    chunks = Count(PNG_MAX_CHUNKS)
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
    """Whether the first frame, which is classified, is inside the file (GIF89a, 15 to 22)."""
    extensions, blocks = Count(GIF_MAX_EXTENSIONS), Count(GIF_MAX_BLOCKS)
    position = 13 + _gif_colour_table(content, 10)
    while 0 < position < len(content):
        introducer = content[position]
        if introducer == 0x2C:  # a frame: descriptor, colour table, code size, then blocks
            data = position + 10 + _gif_colour_table(content, position + 9) + 1
            return 0 < _gif_blocks_end(content, data, blocks) <= len(content)
        if introducer != 0x21 or _is_misread_gif_extension(content, position):
            return False
        extensions.add()  # label, then blocks
        position = _gif_blocks_end(content, position + 2, blocks)
    return False


def _is_misread_gif_extension(content: bytes, position: int) -> bool:
    """Whether Pillow misreads this extension and takes the bytes after it for more of its blocks.

    It does so if the extension is empty, or if it is a loop count without a value. The format allows neither.
    """
    if content[position + 1 : position + 2] == bytes([_GIF_COMMENT]):
        return False
    return content.startswith((b"\x00", _GIF_LOOP_COUNT + b"\x00"), position + 2)


def _gif_colour_table(content: bytes, flags_at: int) -> int:
    """Returns the bytes of the colour table that the flags at this position announce."""
    flags = content[flags_at] if flags_at < len(content) else 0
    return 3 * 2 ** ((flags & 0x07) + 1) if flags & 0x80 else 0


def _gif_blocks_end(content: bytes, position: int, blocks: Count) -> int:
    """Returns the position after a sequence of data blocks, or -1 if the file ends before they do."""
    while position < len(content):
        length = content[position]
        position += 1 + length
        if length == 0:
            return position
        blocks.add()
    return -1


def _webp(content: bytes) -> bool:
    """Whether the file is as long as its RIFF header says."""
    return len(content) >= 8 + int.from_bytes(content[4:8], "little")
