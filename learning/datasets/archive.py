"""Zip archives whose bytes depend on their content only: every date is the same, and nothing is compressed.

The standard library writes them, with ZIP64 where an archive or a file is large. It keeps an object for each entry
until it writes the directory at the archive's end: 47 MB for 100,000 pictures.
"""

from __future__ import annotations

import shutil
from typing import IO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

BUFFER = 2**16

_UNIX = 3  # the system whose permissions an entry has
_FILE = 0o100644 << 16  # a regular file, rw-r--r--
_FOLDER = 0o40755 << 16 | 0x10  # a folder, rwxr-xr-x; MS-DOS marks it with 0x10


class Archive(ZipFile):
    """An archive that is being written. Each path may be added only once."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, "w", ZIP_STORED)

    def add(self, path: str, content: bytes) -> None:
        self.writestr(_entry(path, _FILE), content)

    def add_folder(self, path: str) -> None:
        self.writestr(_entry(f"{path}/", _FOLDER), b"")

    def add_file(self, path: str, source: IO[bytes]) -> None:
        """Adds all of a file, from its beginning."""
        source.seek(0)
        with self.open_entry(path) as entry:
            shutil.copyfileobj(source, entry, BUFFER)

    def open_entry(self, path: str) -> IO[bytes]:
        """Opens an entry of any size for writing. Nothing else may be added until it is closed."""
        return self.open(_entry(path, _FILE), "w", force_zip64=True)


def _entry(path: str, attributes: int) -> ZipInfo:
    entry = ZipInfo(path)  # dated 1980-01-01, the first day of the format's calendar
    entry.create_system = _UNIX
    entry.external_attr = attributes
    return entry
