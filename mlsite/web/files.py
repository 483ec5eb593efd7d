"""Lets the server send files, in place of a thread that reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FilePart:
    """The bytes of a file from `start` up to `end`, which is not included."""

    path: str
    start: int
    end: int


class FileWrapper:
    """The `wsgi.file_wrapper` of PEP 3333, around an object with the interface of a file."""

    def __init__(self, file: Any, block_size: int = 2**18) -> None:
        self._file = file
        self._block_size = block_size
        self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(self._block_size), b"")

    def part(self, headers: Iterable[tuple[str, str]]) -> FilePart | None:
        """Returns the part of a file on this machine that the response has, or `None` if it is something else."""
        path = getattr(self._file, "path", None) or getattr(self._file, "name", None)
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        if not length or not isinstance(path, str) or not Path(path).is_absolute():
            return None
        start = self._file.tell()
        return FilePart(path, start, start + length)
