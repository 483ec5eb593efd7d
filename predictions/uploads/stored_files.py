"""The files that are stored for an image: its bytes, and what is made from them."""

from __future__ import annotations

from pathlib import Path

from predictions.models import Image
from predictions.uploads import display, thumbnails
from worker.inference.repository.files import sync

# Each returns the name of a file that is made from an image. A file whose name is missing here outlives its picture.
DERIVED = (thumbnails.FILES.name, *(files.name for files in thumbnails.EARLIER_FILES), display.FILES.name)


def delete(image: Image) -> None:
    """Deletes all files of an image, those that exist. Raises `OSError`.

    The bytes go first: a thread that makes a file from them afterwards sees that they are gone, and deletes that file.
    """
    storage = image.file.storage
    for name in (str(image.file.name), *(stored_name(image) for stored_name in DERIVED)):
        storage.delete(name)
        folder = Path(storage.path(name)).parent
        if folder.exists():
            sync(folder)
