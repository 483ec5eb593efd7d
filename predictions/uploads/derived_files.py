"""Files that are made from stored pictures on the first request and kept beside them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.core.files.base import ContentFile, File

from predictions.admission.client_slots import ClientSlots
from predictions.exceptions import RequestRejected
from predictions.models import Image

WAITING_SHARE = 4  # of the threads of the web server, one in so many may wait for a file of one kind
CLIENT_SHARE = 0.5  # of them, for one client


@dataclass(frozen=True)
class DerivedFiles:
    """The files of one kind, such as thumbnails: one for each image, named for its content.

    A process makes one at a time, because a page requests fifty at once and making one takes a core. The requests that
    wait for theirs hold threads, so their number is bounded.
    """

    folder: str
    extension: str
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _waiting: ClientSlots = field(default_factory=ClientSlots, repr=False)

    def name(self, image: Image) -> str:
        return f"{self.folder}/{image.sha256[:2]}/{image.sha256}.{self.extension}"

    def open(self, image: Image, make: Callable[[bytes], bytes], *, client: str = "") -> File[bytes]:
        """Returns the file of an image. If there is none, `make` makes it from the image's bytes.

        `client` is the network of the client that asks (see `client_address`), if it may have a share only.

        Raises `FileNotFoundError` if the image's file is gone, `RequestRejected` `busy` if too many requests wait for
        theirs, and what `make` raises.
        """
        storage, name = image.file.storage, self.name(image)
        if not storage.exists(name):
            most = settings.WEB_THREADS // WAITING_SHARE
            share = CLIENT_SHARE * most if client else math.inf
            with self._waiting.acquire(client, per_client=share, in_total=most) as acquired:
                if not acquired:
                    raise RequestRejected("busy", "Too many pictures are being prepared.", status=503, retry_after=2)
                self._make(image, name, make)
        return storage.open(name)

    def _make(self, image: Image, name: str, make: Callable[[bytes], bytes]) -> None:
        storage = image.file.storage
        with self._making:
            if storage.exists(name):  # another thread has made it meanwhile
                return
            with image.file.open("rb") as file:
                storage.save(name, ContentFile(make(file.read())))
            if not storage.exists(str(image.file.name)):  # erased meanwhile; see `stored_files.delete`
                storage.delete(name)
