"""Encoded sample photos and images."""

from __future__ import annotations

import io
from typing import Any

import skimage.data
from PIL import Image

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(name: str, kind: str = "JPEG", **options: Any) -> bytes:
    """One of scikit-image's sample photos."""
    return encoded(Image.fromarray(getattr(skimage.data, name)()), kind, **options)
