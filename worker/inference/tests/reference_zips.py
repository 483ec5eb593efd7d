"""Reference images for tests."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from PIL import Image

from worker.inference.tests.pictures import encoded


def flat_jpeg(colour: str, width: int = 320, height: int = 240) -> bytes:
    return encoded(Image.new("RGB", (width, height), colour), "JPEG")


def references_zip(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Returns a zip with these entries, as an import writes it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = compression
            archive.writestr(entry, data)
    return content.getvalue()


# For `tiny_networks.ANIMALS`: the first label has two, and the last one.
RED, BLUE, GREEN = flat_jpeg("red"), flat_jpeg("blue"), flat_jpeg("green")
OF_ANIMALS = references_zip({"0/1.jpg": RED, "0/2.jpg": BLUE, "4/1.jpg": GREEN})
