"""Reads stored images for the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from django.core.files.storage import default_storage


class StoredImages(Sequence[bytes | Exception]):
    """The bytes of stored images. Each file is read when it is needed: together they may have hundreds of megabytes."""

    def __init__(self, file_names: Sequence[str]) -> None:
        self._file_names = file_names

    def __len__(self) -> int:
        return len(self._file_names)

    @overload
    def __getitem__(self, index: int) -> bytes | Exception: ...

    @overload
    def __getitem__(self, index: slice) -> StoredImages: ...

    def __getitem__(self, index: int | slice) -> bytes | Exception | StoredImages:
        found = self._file_names[index]
        return _read(found) if isinstance(found, str) else StoredImages(found)


def _read(file_name: str) -> bytes | Exception:
    """Returns the stored bytes of an image, or the error, so that an unreadable file fails only its own prediction."""
    try:
        with default_storage.open(file_name, "rb") as file:
            content: bytes = file.read()
            return content
    except OSError as error:
        return error
