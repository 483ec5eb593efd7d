"""The size of a picture as pages show it, so that browsers reserve its space before they have loaded it."""

from __future__ import annotations

import PIL.Image
from django.core.cache import cache

from predictions.models import Image
from worker.inference.rendering import orientation

KEPT_SECONDS = 3600  # how long a process remembers the size of a picture

_SIDEWAYS = frozenset({5, 6, 7, 8})  # the orientations that exchange width and height


def upright_size(image: Image) -> tuple[int, int]:
    """Returns the width and the height of a picture, turned as its orientation says."""
    is_sideways = cache.get_or_set(f"sideways:{image.sha256}", lambda: _is_sideways(image), KEPT_SECONDS)
    return (image.height, image.width) if is_sideways else (image.width, image.height)


def _is_sideways(image: Image) -> bool:
    """Reads the header only. A wrong answer does no harm: the browser knows the true size as soon as it has loaded."""
    if image.format == Image.Format.TIFF:
        return False  # Pillow states the size of a TIFF as turned, and so it is stored
    try:
        with image.file.open("rb") as file, PIL.Image.open(file, formats=[image.format]) as opened:
            # Pillow looks for EXIF data behind the pixels of a PNG, and decodes them for it.
            is_read = opened.format != "PNG" or bool({"exif", "xmp"} & opened.info.keys())
            return is_read and orientation(opened) in _SIDEWAYS
    except Exception:  # noqa: BLE001 - Pillow raises many kinds of errors on corrupt bytes
        return False
