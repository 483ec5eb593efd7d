"""Encoded sample photos and images."""

from __future__ import annotations

import io
from typing import Any

import skimage.data
from PIL import Image, ImageDraw

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(name: str, kind: str = "JPEG", **options: Any) -> bytes:
    """One of scikit-image's sample photos."""
    return encoded(Image.fromarray(getattr(skimage.data, name)()), kind, **options)


def quarters(mode: str = "RGB") -> Image.Image:
    """Four quarters of different colours, so that no two orientations are equal."""
    image = Image.new("RGB", (60, 40), (200, 30, 30))
    draw = ImageDraw.Draw(image)
    draw.rectangle((30, 0, 59, 19), (20, 180, 40))
    draw.rectangle((0, 20, 29, 39), (30, 60, 220))
    draw.rectangle((30, 20, 59, 39), (240, 240, 90))
    return image.convert(mode)
