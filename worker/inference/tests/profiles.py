"""Colour profiles (ICC)."""

from __future__ import annotations

import struct

from PIL import ImageCms

from worker.inference.colour import matrix_profile

D65 = (0.3127, 0.329)
BT709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Values are proportional to light: 128 is 188 in sRGB.
LINEAR = matrix_profile(D65, BT709, (0, (1.0,)))
# Red and blue are exchanged.
SWAPPED = matrix_profile(D65, (*BT709[4:], *BT709[2:4], *BT709[:2]), (0, (2.2,)))


def grey_profile() -> bytes:
    """A profile for grey images, with values proportional to light."""
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    table = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(white), b"kTRC", 176, len(curve))
    header = bytes(8) + struct.pack(">I", 0x04300000) + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + white[8:]
    body = header.ljust(128, b"\0") + table + white + curve
    return struct.pack(">I", len(body)) + body[4:]
