"""The storage of image files, which are named by their content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from django.core.files import File
from django.core.files.storage import FileSystemStorage

from worker.inference.repository.files import sync

_CHUNK_BYTES = 2**20


class ContentAddressedStorage(FileSystemStorage):
    """A file system storage for files whose name identifies their content.

    The same name always means the same bytes, so a file that exists is not written again, unless it is damaged. A file
    appears under its name completely or not at all, even if several processes save it at once, one of them is killed or
    the power fails.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name: str, content: File[Any] | IO[Any]) -> str:
        path = Path(self.path(name))
        if _holds(path, content):
            return name
        _make_folder(path.parent)
        unfinished = path.parent / f".{uuid4().hex}.part"
        try:
            with unfinished.open("wb") as file:
                content.seek(0)
                while chunk := content.read(_CHUNK_BYTES):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())  # before a row refers to it
            unfinished.replace(path)
            sync(path.parent)  # or else a power cut could lose the name
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return name


def _holds(path: Path, content: File[Any] | IO[Any]) -> bool:
    """Whether the stored file has these bytes. A file that cannot be read does not."""
    try:
        with path.open("rb") as stored:
            content.seek(0)
            while chunk := content.read(_CHUNK_BYTES):
                if stored.read(len(chunk)) != chunk:
                    return False
            return not stored.read(1)
    except OSError:
        return False


def _make_folder(folder: Path) -> None:
    """Creates a folder and those above it, as durably as the files in them."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
