"""Picture files of every kind, as bytes."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import skimage.data

from predictions.models import Image
from worker.inference.tests.iso_files import heic


def noise(width: int = 32, height: int = 24, mode: str = "RGB", seed: int = 0) -> PIL.Image.Image:
    """A small part of a photo, a different one for each seed."""
    photo = PIL.Image.fromarray(skimage.data.coffee())
    left, top = seed % 16 * 35, seed // 16 % 16 * 23
    return photo.crop((left, top, left + width, top + height)).convert(mode)


def encoded(image: PIL.Image.Image, image_format: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def picture(image_format: str = "PNG", *, seed: int = 0, **options: Any) -> bytes:
    """A small acceptable picture."""
    return encoded(noise(seed=seed), image_format, **options)


def of_each_format() -> dict[str, bytes]:
    """A small acceptable picture of each format."""
    return {name: heic() if name == "HEIC" else picture(name) for name in Image.Format}


def animation(image_format: str = "GIF") -> bytes:
    frames = [noise(seed=seed) for seed in range(3)]
    return encoded(frames[0], image_format, save_all=True, append_images=frames[1:], duration=40, loop=0)


def with_thumbnail() -> bytes:
    """A JPEG with a complete smaller JPEG in its EXIF data."""
    exif = b"Exif\x00\x00" + picture("JPEG", seed=3)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    content = picture("JPEG")
    return content[:2] + segment + content[2:]


def multi_picture() -> bytes:
    """Two JPEGs in one file, as many phones write them (CIPA DC-007, "MPO")."""
    return encoded(noise(), "MPO", save_all=True, append_images=[noise(seed=1)])


def many_scans(number: int) -> bytes:
    """A progressive JPEG with this many scans. The last one is repeated."""
    content = picture("JPEG", progressive=True)
    assert content.count(b"\xff\xda") == 10, "libjpeg's default"
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (number - 10) + content[-2:]


def rotated() -> bytes:
    """A JPEG whose EXIF orientation is a rotation by 90 degrees."""
    image = noise(40, 20)
    exif = image.getexif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif)


def rle_bmp(width: int = 32, height: int = 24, *, runs: bytes | None = None) -> bytes:
    """A BMP in shades of grey with run-length encoding, which Pillow reads but does not write. Each row is one run."""
    palette = b"".join(bytes([shade, shade, shade, 0]) for shade in range(256))
    pixels = runs if runs is not None else b"".join(bytes([width, row * 5, 0, 0]) for row in range(height)) + b"\0\1"
    start = 54 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels


def tiff(*entries: tuple[int, int, int, int], pixels: bytes = bytes(32 * 24), endian: str = "<") -> bytes:
    """A grey TIFF of 32 x 24 pixels. `entries` (tag, type, count, value or offset) replace or follow its tags.

    The pixels begin at byte 8, the tags at the next even byte.
    """
    known = {256: (3, 1, 32), 257: (3, 1, 24), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8)}
    known |= {277: (3, 1, 1), 278: (3, 1, 24), 279: (4, 1, len(pixels))}
    known |= {tag: (kind, count, value) for tag, kind, count, value in entries}
    at = 8 + len(pixels) + len(pixels) % 2
    order = b"II*\0" if endian == "<" else b"MM\0*"
    tags = struct.pack(f"{endian}H", len(known))
    for tag, (kind, count, value) in sorted(known.items()):
        form = "HHIHxx" if kind == 3 and count == 1 else "HHII"
        tags += struct.pack(endian + form, tag, kind, count, value)
    return order + struct.pack(f"{endian}I", at) + pixels.ljust(at - 8, b"\0") + tags + bytes(4)


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour_type: int = 0) -> bytes:
    """A PNG, grey unless said otherwise, with these bytes as its compressed data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def deep_png() -> bytes:
    """An RGB PNG with 16 bits a channel, which Pillow reads but does not write."""
    photo = noise()
    values = np.asarray(photo).astype(">u2") * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(*photo.size, zlib.compress(rows), depth=16, colour_type=2)


def png_bomb(side: int = 20_000) -> bytes:
    """400 million black pixels in under 400 KB."""
    compress = zlib.compressobj(9)
    row = bytes(side + 1)
    pixels = b"".join(compress.compress(row) for _ in range(side)) + compress.flush()
    return png(side, side, pixels)


def corrupt() -> bytes:
    """A complete PNG whose pixels cannot be decompressed."""
    return png(32, 24, b"this is not zlib")
