"""Turns the bytes of an image into the pixels that a network takes, as its manifest describes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.inference.rendering import (
    DEFAULT_MAX_PIXELS,
    UPRIGHT,
    Cut,
    UndecodableImage,
    in_8_bit,
    orientation,
    render,
    rgb,
)
from worker.inference.repository.manifest import Preprocessing

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "UPRIGHT",
    "Preprocessor",
    "UndecodableImage",
    "in_8_bit",
    "normalised",
    "orientation",
    "rgb",
]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def normalised(pixels: NDArray[np.uint8], rule: Preprocessing) -> NDArray[np.float32]:
    """Returns what a network takes for pixels as `Preprocessor` makes them."""
    mean, std = np.array(rule.mean, np.float32), np.array(rule.std, np.float32)
    return (pixels.astype(np.float32) - mean) / std


class Preprocessor:
    """Decodes, crops and scales images as `rule` says. Threads may share one.

    `max_pixels` bounds width x height. Pillow also rejects more than 179 million pixels (twice
    `PIL.Image.MAX_IMAGE_PIXELS`), unless the program sets that constant to None.
    """

    def __init__(self, rule: Preprocessing, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.rule = rule
        self.max_pixels = max_pixels

    def __call__(self, data: bytes) -> NDArray[np.uint8]:
        """Decodes an image.

        What it shows is described in `worker.inference.rendering`.

        Args:
            data: a file of one of the `opening.FORMATS`.

        Returns:
            uint8 (height, width, channels), values 0 to 255, C-contiguous, in the manifest's channel order. The engine
            normalises them.

        Raises:
            UndecodableImage: for any other bytes. No other exception is raised.
        """
        picture = self.picture(data)
        if self.rule.channel_order == "L":
            return np.asarray(picture.convert("L"))[..., np.newaxis]
        pixels = np.asarray(picture)
        if self.rule.channel_order == "BGR":
            pixels = pixels[..., ::-1]
        return np.ascontiguousarray(pixels)  # engines read the memory in this order

    def picture(self, data: bytes) -> Image.Image:
        """Decodes, crops and scales an image, and returns it as a picture that people can look at, in mode RGB.

        Raises:
            UndecodableImage: see `__call__`.
        """
        scaled = render(data, self._cut, max_pixels=self.max_pixels)
        size = (self.rule.width, self.rule.height)
        if scaled.size == size:
            return scaled
        left, top = ((length - part) // 2 for length, part in zip(size, scaled.size, strict=True))
        padded = Image.new("RGB", size)
        padded.paste(scaled, (left, top))
        return padded

    def _cut(self, image_size: tuple[int, int]) -> Cut:
        """The centred part of an image that the network takes, and its size. It is not rounded to whole pixels."""
        rule = self.rule
        size = (rule.width, rule.height)
        if rule.resize == "shortest":
            sides = _largest_box(image_size, size, rule.crop)
        elif rule.resize == "stretch":
            sides = (rule.crop * image_size[0], rule.crop * image_size[1])
        else:
            sides, size = _padded(image_size, size, rule.crop)
        left, top = ((length - side) / 2 for length, side in zip(image_size, sides, strict=True))
        return Cut((left, top, left + sides[0], top + sides[1]), size, resampling=_FILTERS[rule.interpolation])


def _largest_box(image_size: tuple[int, int], size: tuple[int, int], crop: float) -> tuple[float, float]:
    """The sides of the largest part of an image that has the aspect ratio of `size`, multiplied by `crop`."""
    if image_size[0] * size[1] <= image_size[1] * size[0]:
        width = crop * image_size[0]
        return width, width * (size[1] / size[0])
    height = crop * image_size[1]
    return height * (size[0] / size[1]), height


def _padded(
    image_size: tuple[int, int], size: tuple[int, int], crop: float
) -> tuple[tuple[float, float], tuple[int, int]]:
    """The part of an image that is visible after it got a border, and the size that this part is scaled to."""
    scale = crop * max(image_size[0] / size[0], image_size[1] / size[1])  # pixels of the image for one of the network
    width, height = (min(float(length), scale * side) for length, side in zip(image_size, size, strict=True))
    return (width, height), (max(1, round(width / scale)), max(1, round(height / scale)))
