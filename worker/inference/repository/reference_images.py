"""Reference images: small pictures that show people what a label means.

`references.zip` of a version has up to three for each label, in the order of the labels, without compression:
`0/1.jpg`, `0/2.jpg`, `4/1.jpg`. Everything about the file is bounded before it is read, because the file of an imported
version may come from anywhere.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import BinaryIO

MAX_IMAGES = 3  # of a label
MAX_SIDE = 320  # pixels: as thumbnails
MAX_BYTES = 100_000  # of an image; one of pure noise has 87,000

_NAME = re.compile(r"(0|[1-9][0-9]{0,5})/([1-9])\.jpg")
_ENCRYPTED = 0x1
_HEADER_BYTES = 30  # of an entry, before its name
_MAX_RECORD_BYTES = 46 + 12  # of an entry in the directory, with its name
_END = struct.Struct("<4s4H2LH")  # the end of the directory, without a comment
_LOCATOR_BYTES = 20  # before that end, only in the format for large files


class InvalidReferences(ValueError):
    """The file does not hold reference images; the message says why."""


class ReferenceImages:
    """The reference images of one version. The directory of the file is read once, an image each time.

    Args:
        version: `name@version`.
        path: its `references.zip`.
        classes: the number of its labels.

    Raises:
        InvalidReferences: the file is not as described above.
        OSError: it cannot be read.
    """

    def __init__(self, version: str, path: Path, classes: int) -> None:
        self.version = version
        self._path = path
        self._entries = {
            key: (entry.header_offset + _HEADER_BYTES + len(entry.filename), entry.file_size, entry.CRC)
            for key, entry in _read_directory(path, classes).items()
        }
        self._counts = Counter(position for position, _number in self._entries)

    @property
    def positions(self) -> list[int]:
        """The positions of the labels that have images, in the network's output."""
        return list(self._counts)

    def count(self, position: int) -> int:
        """Returns how many images the label at a position has. Their numbers begin with 1."""
        return self._counts[position]

    def read(self, position: int, number: int) -> bytes:
        """Returns one image as a JPEG.

        Raises:
            KeyError: there is none.
            InvalidReferences: it is damaged.
            OSError: the file cannot be read.
        """
        offset, size, checksum = self._entries[position, number]
        with self._path.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) != size or zlib.crc32(content) != checksum:
            raise InvalidReferences(f"image {number} of label {position} is damaged")
        return content


def _read_directory(path: Path, classes: int) -> dict[tuple[int, int], zipfile.ZipInfo]:
    """Returns the entries by position and number."""
    with path.open("rb") as file:
        _check_size(file, path.stat().st_size, classes)
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise InvalidReferences(f"it is no zip file: {error}") from error
    found: dict[tuple[int, int], zipfile.ZipInfo] = {}
    for entry in entries:
        match = _NAME.fullmatch(entry.filename)
        key = (int(match[1]), int(match[2])) if match else (classes, 0)
        position, number = key
        is_next = number == 1 or (position, number - 1) in found
        if position >= classes or number > MAX_IMAGES or key in found or not is_next:
            raise InvalidReferences("it has a file that is no image of a label")
        is_plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & _ENCRYPTED
        if not is_plain or entry.file_size > MAX_BYTES:
            raise InvalidReferences(f"{entry.filename} is compressed, encrypted or larger than {MAX_BYTES:,} bytes")
        found[key] = entry
    return found


def _check_size(file: BinaryIO, size: int, classes: int) -> None:
    """Checks that the directory is no larger than that of three images for each label, before `zipfile` reads it."""
    file.seek(max(size - _END.size - _LOCATOR_BYTES, 0))
    tail = file.read()
    if len(tail) < _END.size:
        raise InvalidReferences("it is no zip file")
    signature, *_, number, length, start, comment = _END.unpack(tail[-_END.size :])
    is_large = tail.startswith(b"PK\x06\x07")
    if signature != b"PK\x05\x06" or comment or is_large or start + length + _END.size != size:
        raise InvalidReferences("it is no zip file of images")
    if number > MAX_IMAGES * classes or length > number * _MAX_RECORD_BYTES:
        raise InvalidReferences(f"it has more than {MAX_IMAGES} images a label")
