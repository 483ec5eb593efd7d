"""HEIC and AVIF files of every kind, written box by box around one coded picture.

pi-heif does not encode. The two coded pictures below are our own: a gradient (red grows to the right, green downwards,
blue is 96) and its transparency (opaque on the left), 64 x 64 pixels. pillow-heif 1.8.1 encoded them once, with quality
80, 4:4:4, full range and the matrix of BT.601. The SEI units, which name the encoder, were removed.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from worker.inference.iso_media import IsoImage
from worker.inference.tests.pictures import encoded

SIDE = 64


@dataclass(frozen=True)
class Coded:
    """A coded picture, and the box that its decoder needs."""

    kind: bytes
    configuration: bytes
    content: bytes


HEVC = Coded(
    b"hvc1",
    base64.b64decode(
        "AQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCeOAAAAwAAHpAEECCy3UklNc3A"
        "Q0GBAAADABkAAAMAAQhiAAEACEQBwXKGDAIk"
    ),
    base64.b64decode(
        "AAABLCgBrwT430/++7op0WU1IV6zGW8I/NSJcYqSEG5JRwb7/07Fn7x76/I38gH7oQluTYrjpzlNXO5lH+fknxoBOfY8xn0h8LC8mswug9dn1Qtd"
        "qzMvlfYGpbtj6sXCaYPEWFD8gEClgdoHr0vP1BgITiU6BmGCv4anPdMhWIOuaIkBJbq0hOvHTeu5d0JRMOf1BUW3E+2C118nZJVC1KoViFaqSsng"
        "ng5CIDC9M1l3HefDvZmCw4Junu0jD+t72sRn5XHay9zNA9b5hZegN39sOWmc3Gt4Tkhky7Np6Vz7fzn+Stfkke1oQbHZfps998Q+tmy5k5nCz+J0"
        "DRLrm1qTrGbEWXKPvY9JVroWe7M/pyaPIztnXWJSdj4PcLG0TRtJH+8pP/ljRV/4//w//g=="
    ),
)
HEVC_ALPHA = Coded(
    b"hvc1",
    base64.b64decode(
        "AQQIAAAAn/gAAAAAHvAA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAAeugJAYQABACZCAQEECAAAAwCf+AAAAwAAHsCCBBZbqSSmubAg"
        "AAADAyAAAAMAIWIAAQAHRAHBcrAiQA=="
    ),
    base64.b64decode(
        "AAAASygBrgnwPa/zFFLkJ0cemM7yp/19fkLrzrqwmZ9EZi11mqp+NfzvFH89wYk+DaImoPLy5hvOay2t2sgjltou06D+Esa3SVN7cJ9LgA=="
    ),
)


def gradient() -> Image.Image:
    """The picture of which `HEVC` is a coded copy."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return Image.fromarray(np.stack([x * 4, y * 4, np.full_like(x, 96)], -1).astype(np.uint8))


def gradient_alpha() -> Image.Image:
    """Its transparency, of which `HEVC_ALPHA` is a coded copy."""
    return Image.fromarray(np.tile(255 - np.arange(SIDE, dtype=np.uint8) * 4, (SIDE, 1)))


def av1() -> Coded:
    """The gradient as AV1."""
    parsed = IsoImage(encoded(gradient(), "AVIF", quality=95, subsampling="4:4:4"))
    configuration = parsed.properties(parsed.primary, b"av1C")[0]
    return Coded(b"av01", configuration, parsed.content(parsed.primary))


def box(kind: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I4s", 8 + len(joined), kind) + joined


def full_box(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def size(width: int, height: int) -> bytes:
    return full_box(b"ispe", struct.pack(">II", width, height))


def rotation(quarters: int) -> bytes:
    """Turns the picture by quarters, anticlockwise."""
    return box(b"irot", bytes([quarters]))


def mirror(axis: int) -> bytes:
    """Mirrors the picture: 0 swaps top and bottom, 1 left and right."""
    return box(b"imir", bytes([axis]))


def colours(primaries: int, transfer: int, matrix: int = 6) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, 128))


def profile(icc: bytes) -> bytes:
    return box(b"colr", b"prof", icc)


@dataclass
class IsoFile:
    """A file of items. `add` returns the number of the new one; number 1 is shown."""

    brand: bytes = b"heic"
    _kinds: list[bytes] = field(default_factory=list)
    _contents: list[bytes] = field(default_factory=list)
    _properties: list[list[bytes]] = field(default_factory=list)
    _references: list[bytes] = field(default_factory=list)

    def add(self, kind: bytes, content: bytes, *properties: bytes) -> int:
        self._kinds.append(kind)
        self._contents.append(content)
        self._properties.append(list(properties))
        return len(self._kinds)

    def add_coded(self, coded: Coded, *properties: bytes, stated: tuple[int, int] = (SIDE, SIDE)) -> int:
        configuration = box(b"hvcC" if coded.kind == b"hvc1" else b"av1C", coded.configuration)
        return self.add(coded.kind, coded.content, configuration, size(*stated), *properties)

    def add_alpha(self, of: int = 1) -> int:
        kind = full_box(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
        number = self.add_coded(HEVC_ALPHA, kind)
        self.refer(b"auxl", number, of)
        return number

    def refer(self, kind: bytes, item: int, *others: int) -> None:
        self._references.append(box(kind, struct.pack(f">HH{len(others)}H", item, len(others), *others)))

    def content(self) -> bytes:
        coding = b"avif" if b"av01" in self._kinds else b"heic"
        start = box(b"ftyp", self.brand, bytes(4), coding + b"mif1miaf")
        rest = len(start) + len(self._meta(0)) + 8
        return start + self._meta(rest) + box(b"mdat", *self._contents)

    def _meta(self, data_at: int) -> bytes:
        numbers = range(1, len(self._kinds) + 1)
        handler = full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
        infos = [
            full_box(b"infe", struct.pack(">HH4s", number, 0, kind) + b"\0", version=2)
            for number, kind in zip(numbers, self._kinds, strict=True)
        ]
        locations = b""
        for number, content in zip(numbers, self._contents, strict=True):
            locations += struct.pack(">HHHII", number, 0, 1, data_at, len(content))
            data_at += len(content)
        all_properties = [found for properties in self._properties for found in properties]
        associations, index = b"", 1
        for number, properties in zip(numbers, self._properties, strict=True):
            indices = range(index, index + len(properties))
            associations += struct.pack(f">HB{len(indices)}H", number, len(indices), *(0x8000 | i for i in indices))
            index += len(properties)
        return full_box(
            b"meta",
            handler,
            full_box(b"pitm", struct.pack(">H", 1)),
            full_box(b"iinf", struct.pack(">H", len(infos)), *infos),
            full_box(b"iloc", struct.pack(">BBH", 0x44, 0, len(numbers)), locations),
            box(
                b"iprp",
                box(b"ipco", *all_properties),
                full_box(b"ipma", struct.pack(">I", len(numbers)), associations, flags=1),
            ),
            *([full_box(b"iref", *self._references)] if self._references else []),
        )


def heic(*properties: bytes, brand: bytes = b"heic", alpha: bool = False) -> bytes:
    """The gradient as HEIC."""
    file = IsoFile(brand)
    file.add_coded(HEVC, *properties)
    if alpha:
        file.add_alpha()
    return file.content()


def avif(*properties: bytes, brand: bytes = b"avif") -> bytes:
    """The gradient as AVIF."""
    file = IsoFile(brand)
    channels = full_box(b"pixi", b"\3\x08\x08\x08")
    file.add_coded(av1(), channels, *properties)
    return file.content()


def heic_grid(columns: int, rows: int, *properties: bytes, stated: tuple[int, int] | None = None) -> bytes:
    """A grid of the gradient, as phones store their photos. `stated`: the size that the file states for the whole."""
    whole = columns * SIDE, rows * SIDE
    file = IsoFile()
    content = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *whole)
    grid = file.add(b"grid", content, size(*(stated or whole)), *properties)
    file.refer(b"dimg", grid, *(file.add_coded(HEVC) for _tile in range(columns * rows)))
    return file.content()
