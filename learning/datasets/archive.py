"""Writing a zip archive of very many files in bounded memory.

Python's `zipfile` keeps an object for each entry until it writes the directory at the archive's end: 44 MB for 100,000
pictures, and so on. Here the directory grows in a second file. Nothing is compressed, which pictures are already, so
that the bytes of the archive depend on what is in it and on nothing else: no library's version, no clock.

The format: PKWARE's APPNOTE.TXT 6.3, with ZIP64 (4.3.14, 4.5.3) wherever a number does not fit into 32 bits.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")

_UTF8 = 0x0800
_STORED = 0
_MIDNIGHT, _FIRST_DAY = 0, 0x0021  # of 1980, where the format's calendar begins
_UNIX = 3 << 8
_VERSION, _VERSION_64 = 20, 45
_FILE, _FOLDER = 0o100644 << 16, 0o40755 << 16 | 0x10
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF  # in place of a number that is told elsewhere
_ZIP64 = 0x0001

BUFFER = 2**16


class Archive:
    """Call `finish` when everything is in it. `directory` is a file for the time being, empty and for us alone."""

    def __init__(self, file: IO[bytes], directory: IO[bytes]) -> None:
        self._file = file
        self._directory = directory
        self._count = 0
        self._limit = _FULL_32  # numbers from here on are written with 64 bits

    def add(self, name: str, content: bytes) -> None:
        """`name` is a path with slashes; each may come only once."""
        offset = self._file.tell()
        size, checksum = len(content), zlib.crc32(content)
        self._file.write(_local_header(name, checksum, size))
        self._file.write(content)
        self._record(name, offset, checksum, size, _FILE)

    def add_folder(self, name: str) -> None:
        offset = self._file.tell()
        self._file.write(_local_header(f"{name}/", 0, 0))
        self._record(f"{name}/", offset, 0, 0, _FOLDER)

    def add_file(self, name: str, source: IO[bytes]) -> None:
        """All of a file, from its beginning."""
        source.seek(0)
        with self.entry(name) as entry:
            shutil.copyfileobj(source, entry, BUFFER)

    @contextmanager
    def entry(self, name: str) -> Iterator[Entry]:
        """A file of any size, written bit by bit. Nothing else may be added until it is closed."""
        offset = self._file.tell()
        self._file.write(_local_header(name, 0, None))  # what is not known yet is filled in afterwards
        entry = Entry(self._file)
        yield entry
        end = self._file.tell()
        self._file.seek(offset)
        self._file.write(_local_header(name, entry.checksum, entry.size, wide=True))
        self._file.seek(end)
        self._record(name, offset, entry.checksum, entry.size, _FILE)

    def _record(self, name: str, offset: int, checksum: int, size: int, attributes: int) -> None:
        wide = [number for number in (size, size, offset) if number >= self._limit]
        extra = struct.pack(f"<2H{len(wide)}Q", _ZIP64, 8 * len(wide), *wide) if wide else b""
        small_size, small_offset = (_FULL_32 if number >= self._limit else number for number in (size, offset))
        version = _VERSION_64 if wide else _VERSION
        encoded = name.encode()
        header = _CENTRAL.pack(
            *(b"PK\x01\x02", _UNIX | _VERSION_64, version, _UTF8, _STORED, _MIDNIGHT, _FIRST_DAY),
            *(checksum, small_size, small_size, len(encoded), len(extra)),
            *(0, 0, 0, attributes, small_offset),  # no comment, first disk, not a text
        )
        self._directory.write(header + encoded + extra)
        self._count += 1

    def finish(self) -> None:
        start = self._file.tell()
        self._directory.seek(0)
        shutil.copyfileobj(self._directory, self._file, BUFFER)
        end = self._file.tell()
        size = end - start
        if self._count >= _FULL_16 or size >= self._limit or start >= self._limit:
            rest = _END_64.size - 12  # what follows after this number
            versions = (_UNIX | _VERSION_64, _VERSION_64)
            self._file.write(
                _END_64.pack(b"PK\x06\x06", rest, *versions, 0, 0, self._count, self._count, size, start)
                + _LOCATOR_64.pack(b"PK\x06\x07", 0, end, 1)
            )
        count = min(self._count, _FULL_16)
        size, start = (_FULL_32 if number >= self._limit else number for number in (size, start))
        self._file.write(_END.pack(b"PK\x05\x06", 0, 0, count, count, size, start, 0))


class Entry:
    """What is being written of one file of an archive."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = self.checksum = 0

    def write(self, content: bytes) -> int:
        self.size += len(content)
        self.checksum = zlib.crc32(content, self.checksum)
        return self._file.write(content)


def _local_header(name: str, checksum: int, size: int | None, *, wide: bool = False) -> bytes:
    """`wide`, or without a size: with room for any size, so that it may be written again when that is known."""
    encoded = name.encode()
    wide = wide or size is None
    extra = struct.pack("<2H2Q", _ZIP64, 16, size or 0, size or 0) if wide else b""
    small = _FULL_32 if size is None or wide else size
    return (
        _LOCAL.pack(
            *(b"PK\x03\x04", _VERSION_64 if wide else _VERSION, _UTF8, _STORED, _MIDNIGHT, _FIRST_DAY),
            *(checksum, small, small, len(encoded), len(extra)),
        )
        + encoded
        + extra
    )
