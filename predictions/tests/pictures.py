"""Picture files of every kind, as bytes."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import skimage.data


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
