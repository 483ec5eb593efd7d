"""Where image bytes are kept: files named by their content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from django.core.files import File
from django.core.files.storage import FileSystemStorage


class ContentAddressedStorage(FileSystemStorage):
    """A file system storage for files whose name says what is in them.

    The same name always means the same bytes, so a name that is taken is already what was to be saved. A file
    appears under its name whole or not at all, however many processes save it at once and wherever they are killed.
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
                os.fsync(file.fileno())  # before the row that promises it
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return name
