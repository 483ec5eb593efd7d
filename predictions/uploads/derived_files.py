"""Files that are made from stored pictures on the first request and kept beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from django.core.files.base import ContentFile, File

from predictions.models import Image
from predictions.uploads.making_slots import MakingSlots


@dataclass(frozen=True)
class DerivedFiles:
    """The files of one kind, such as thumbnails: one for each image, named for its content."""

    folder: str
    extension: str
    slots: MakingSlots = field(default_factory=MakingSlots, repr=False)

    def name(self, image: Image) -> str:
        return f"{self.folder}/{image.sha256[:2]}/{image.sha256}.{self.extension}"

    def open(self, image: Image, make: Callable[[bytes], bytes], *, client: str = "") -> File[bytes]:
        """Returns the file of an image. If there is none, `make` makes it from the image's bytes.

        `client`: see `MakingSlots`. Raises `FileNotFoundError` if the image's file is gone, `RequestRejected` `busy` if
        too many requests wait for theirs, and what `make` raises.
        """
        storage, name = image.file.storage, self.name(image)
        if not storage.exists(name):
            with self.slots.acquire(client):
                self._make(image, name, make)
        return storage.open(name)

    def _make(self, image: Image, name: str, make: Callable[[bytes], bytes]) -> None:
        storage = image.file.storage
        if storage.exists(name):  # another thread has made it meanwhile
            return
        with image.file.open("rb") as file:
            storage.save(name, ContentFile(make(file.read())))
        if not storage.exists(str(image.file.name)):  # erased meanwhile; see `stored_files.delete`
            storage.delete(name)
