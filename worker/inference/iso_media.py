"""Reads the boxes of HEIC and AVIF files, which are ISO base media files, without decoding a pixel.

A file describes items: coded pictures, pictures that are made from others (a grid of tiles), and metadata. Properties
are kept once and associated with items. See ISO/IEC 14496-12 (boxes) and ISO/IEC 23008-12 (items).
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

# Of files, in the first box. A file of the general brands "mif1" and "msf1" may be either.
AVIF_BRANDS = frozenset({b"avif", b"avis"})
HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
SEQUENCE_BRANDS = frozenset({b"avis", b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"})

# Of auxiliary pictures; others are depth maps, and what brightens a picture on some screens.
_TRANSPARENCY = frozenset({b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"})

_REQUIRED = frozenset({b"pitm", b"iinf", b"iloc", b"iprp"})  # in the box of metadata

# Numbers of curves (ITU-T H.273, table 3). Chromium shows AVIF pictures with those of television as sRGB.
_SRGB_CURVE, _TELEVISION_CURVES = 13, frozenset({1, 6, 14, 15})

_OF_FILE, _OF_IDAT = 0, 1  # what the offsets of an item count from
_FULL_BOX_BYTES = 4  # version and flags, before the content of some boxes


class MalformedFile(ValueError):
    """The boxes contradict one another or are not inside the file."""


@dataclass(frozen=True)
class Box:
    """The part of a file from `start` (after the header of the box) to `end`."""

    kind: bytes
    start: int
    end: int


@dataclass
class Item:
    """A picture or other data. `extents` are the parts of the file that hold it, as (start, end)."""

    kind: bytes = b""
    is_compressed: bool = False  # as a whole, by deflate or brotli
    properties: list[Box] = field(default_factory=list)
    extents: list[tuple[int, int]] = field(default_factory=list)

    @property
    def byte_count(self) -> int:
        return sum(end - start for start, end in self.extents)


@dataclass(frozen=True)
class Reference:
    """Says how an item needs others: `dimg`, it is made from them; `auxl`, it is their transparency, for example."""

    kind: bytes
    item: int
    others: tuple[int, ...]


def is_iso_image(data: bytes) -> bool:
    """Whether the file says that it is an AVIF or HEIC picture, and not a film."""
    return data[4:8] == b"ftyp" and major_brand(data) in AVIF_BRANDS | HEIC_BRANDS


def major_brand(data: bytes) -> bytes:
    """Returns the brand that says what the file is in the first place."""
    return data[8:12]


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yields the boxes of a part of the file. Raises `MalformedFile` at one that is not inside this part."""
    position = start
    while position < end:
        if position + 8 > end:
            raise MalformedFile
        length, kind, header = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8], 8
        if length == 1:
            length, header = int.from_bytes(data[position + 8 : position + 16]), 16
        stop = position + length if length else end  # 0: all the rest
        if length and length < header or stop > end or position + header > stop:
            raise MalformedFile
        yield Box(kind, position + header, stop)
        position = stop


class _Reader:
    """Reads whole numbers of a box one after the other. Raises `MalformedFile` at its end."""

    def __init__(self, data: bytes, box: Box) -> None:
        self.data, self.position, self.end = data, box.start, box.end

    def number(self, length: int) -> int:
        stop = self.position + length
        if stop > self.end:
            raise MalformedFile
        value = int.from_bytes(self.data[self.position : stop])
        self.position = stop
        return value

    def version(self) -> tuple[int, int]:
        """Returns the version and the flags of a full box."""
        return self.number(1), self.number(3)


class IsoImage:
    """The items of a file. `primary` is the number of the picture that is shown.

    Raises `MalformedFile`.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.items: dict[int, Item] = {}
        self.references: list[Reference] = []
        # By kind and item: the items that it refers to, and those that refer to it.
        self._needed: defaultdict[tuple[bytes, int], list[int]] = defaultdict(list)
        self._belonging: defaultdict[tuple[bytes, int], list[int]] = defaultdict(list)
        self.primary = 0
        top = _by_kind(data, 0, len(data), {b"meta"})
        if b"meta" not in top:
            raise MalformedFile
        meta = top[b"meta"]
        inner = _by_kind(data, meta.start + _FULL_BOX_BYTES, meta.end, _REQUIRED | {b"idat", b"iref"})
        if not inner.keys() >= _REQUIRED:
            raise MalformedFile
        reader = _Reader(data, inner[b"pitm"])
        self.primary = reader.number(2 if reader.version()[0] == 0 else 4)
        self._read_kinds(inner[b"iinf"])
        self._read_properties(inner[b"iprp"])
        self._read_extents(inner[b"iloc"], inner.get(b"idat"))
        if b"iref" in inner:
            self._read_references(inner[b"iref"])

    def properties(self, number: int, kind: bytes) -> list[bytes]:
        """Returns the contents of an item's properties of one kind."""
        item = self.items.get(number, Item())
        return [self.data[box.start : box.end] for box in item.properties if box.kind == kind]

    def content(self, number: int) -> bytes:
        return b"".join(self.data[start:end] for start, end in self.items.get(number, Item()).extents)

    def needed_by(self, number: int, kind: bytes) -> list[int]:
        """Returns the items from which an item is made (`dimg`), each as often as it is used."""
        return self._needed.get((kind, number), [])

    def belonging_to(self, number: int, kind: bytes) -> list[int]:
        """Returns the items that refer to an item, such as its transparency (`auxl`)."""
        return self._belonging.get((kind, number), [])

    def is_transparency(self, number: int) -> bool:
        return any(stated[4:].split(b"\0")[0] in _TRANSPARENCY for stated in self.properties(number, b"auxC"))

    def size(self, number: int) -> tuple[int, int]:
        """Returns the width and height that the file states for an item; zeros if it states none."""
        stated = self.properties(number, b"ispe")
        return struct.unpack(">II", stated[0][4:12]) if stated and len(stated[0]) >= 12 else (0, 0)

    def colours(self) -> bytes | None:
        """Returns how the colours of the primary item are coded, as a PNG chunk cICP would say it of decoded pixels.

        The colours of a grid may be stated for its tiles only.
        """
        for number in (self.primary, self._coded()):
            for stated in self.properties(number, b"colr"):
                if stated.startswith(b"nclx") and len(stated) >= 8 and not stated[4] and not stated[6]:
                    transfer = _SRGB_CURVE if stated[7] in _TELEVISION_CURVES else stated[7]
                    return bytes([stated[5], transfer, 0, 1])
        return None

    def coding(self) -> bytes:
        """Returns the kind of the coded pictures that the primary item is made of, such as `av01` or `hvc1`."""
        number = self._coded()
        return self.items[number].kind if number in self.items else b""

    def is_deep(self) -> bool:
        """Whether the coded pictures have more than 8 bits a channel."""
        av1 = next(iter(self.properties(self._coded(), b"av1C")), b"")
        hevc = next(iter(self.properties(self._coded(), b"hvcC")), b"")
        return len(av1) > 2 and bool(av1[2] & 0x40) or len(hevc) > 18 and bool((hevc[17] | hevc[18]) & 7)

    def _coded(self) -> int:
        """Returns the primary item, or the first tile of it."""
        return next(iter(self.needed_by(self.primary, b"dimg")), self.primary)

    def _item(self, number: int) -> Item:
        return self.items.setdefault(number, Item())

    def _read_kinds(self, box: Box) -> None:
        reader = _Reader(self.data, box)
        reader.number(2 if reader.version()[0] == 0 else 4)  # their number
        for entry in boxes(self.data, reader.position, box.end):
            inner = _Reader(self.data, entry)
            version, _flags = inner.version()
            number = inner.number(2 if version == 2 else 4)
            inner.number(2)  # protection
            item = self._item(number)
            item.kind = inner.number(4).to_bytes(4)
            texts = self.data[inner.position : entry.end].split(b"\0", 3)  # name, type, compression
            item.is_compressed = item.kind == b"mime" and len(texts) > 2 and bool(texts[2])

    def _read_properties(self, box: Box) -> None:
        container: list[Box] | None = None
        for inner in boxes(self.data, box.start, box.end):
            if inner.kind == b"ipco":
                if container is not None:
                    raise MalformedFile
                container = list(boxes(self.data, inner.start, inner.end))
            elif inner.kind == b"ipma" and container is not None:
                self._associate(inner, container)

    def _associate(self, box: Box, container: list[Box]) -> None:
        reader = _Reader(self.data, box)
        version, flags = reader.version()
        length = 2 if flags & 1 else 1
        for _entry in range(reader.number(4)):
            item = self._item(reader.number(2 if version == 0 else 4))
            for _association in range(reader.number(1)):
                index = reader.number(length) & (0x7FFF if flags & 1 else 0x7F)
                if index > len(container):
                    raise MalformedFile
                if index:
                    item.properties.append(container[index - 1])

    def _read_extents(self, box: Box, idat: Box | None) -> None:
        reader = _Reader(self.data, box)
        version, _flags = reader.version()
        sizes = reader.number(2)
        offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        for _entry in range(reader.number(2 if version < 2 else 4)):
            item = self._item(reader.number(2 if version < 2 else 4))
            method = reader.number(2) & 15 if version else 0
            reader.number(2)  # data reference
            base = reader.number(base_bytes)
            for _extent in range(reader.number(2)):
                if version:
                    reader.number(index_bytes)
                offset, length = base + reader.number(offset_bytes), reader.number(length_bytes)
                source = self._source(method, idat)
                start = source.start + offset
                end = start + length if length else source.end
                if not start <= end <= source.end:
                    raise MalformedFile
                item.extents.append((start, end))

    def _source(self, method: int, idat: Box | None) -> Box:
        """Returns the part of the file that the offsets of an item count from. Those from other items are not used."""
        if method == _OF_FILE:
            return Box(b"", 0, len(self.data))
        if method == _OF_IDAT and idat is not None:
            return idat
        raise MalformedFile

    def _read_references(self, box: Box) -> None:
        reader = _Reader(self.data, box)
        length = 2 if reader.version()[0] == 0 else 4
        for entry in boxes(self.data, reader.position, box.end):
            inner = _Reader(self.data, entry)
            item = inner.number(length)
            others = tuple(inner.number(length) for _other in range(inner.number(2)))
            self.references.append(Reference(entry.kind, item, others))
            self._needed[entry.kind, item].extend(others)
            for other in dict.fromkeys(others):
                self._belonging[entry.kind, other].append(item)


def _by_kind(data: bytes, start: int, end: int, kinds: Set[bytes]) -> dict[bytes, Box]:
    """Returns the boxes of these kinds. A second one of a kind makes the file malformed."""
    found: dict[bytes, Box] = {}
    for box in boxes(data, start, end):
        if box.kind in kinds:
            if box.kind in found:
                raise MalformedFile
            found[box.kind] = box
    return found
