"""Files that are made from stored pictures on the first request and kept beside them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from django.core.files.base import ContentFile, File

from predictions.models import Image


@dataclass(frozen=True)
class DerivedFiles:
    """The files of one kind, such as thumbnails: one for each image, named for its content.

    A process makes one at a time, because a page requests fifty at once and making one takes a core.
    """

    folder: str
    extension: str
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def name(self, image: Image) -> str:
        return f"{self.folder}/{image.sha256[:2]}/{image.sha256}.{self.extension}"

    def open(self, image: Image, make: Callable[[bytes], bytes]) -> File[bytes]:
        """Returns the file of an image. If there is none, `make` makes it from the image's bytes.

        Raises `FileNotFoundError` if the image's file is gone, and what `make` raises.
        """
        storage, name = image.file.storage, self.name(image)
        if not storage.exists(name):
            with self._making:
                if not storage.exists(name):  # another thread may have made it meanwhile
                    with image.file.open("rb") as file:
                        storage.save(name, ContentFile(make(file.read())))
                    if not storage.exists(str(image.file.name)):  # erased meanwhile; see `stored_files.delete`
                        storage.delete(name)
        return storage.open(name)

    def delete(self, image: Image) -> None:
        """Removes the file of an image, if there is one."""
        image.file.storage.delete(self.name(image))
