"""The storage of image files, which are named by their content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from django.core.files import File
from django.core.files.storage import FileSystemStorage


class ContentAddressedStorage(FileSystemStorage):
    """A file system storage for files whose name identifies their content.

    The same name always means the same bytes, so a file that exists is not written again. A file appears under its name
    completely or not at all, even if several processes save it at once or one of them is killed.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name: str, content: File[Any] | IO[Any]) -> str:
        path = Path(self.path(name))
        if path.exists():
            return name
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.parent / f".{uuid4().hex}.part"
        try:
            with unfinished.open("wb") as file:
                content.seek(0)
                while chunk := content.read(2**20):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())  # before a row refers to it
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return name
