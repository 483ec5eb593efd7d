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

__all__ = ["DEFAULT_MAX_PIXELS", "UPRIGHT", "Preprocessor", "UndecodableImage", "in_8_bit", "orientation", "rgb"]


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
        pixels = np.asarray(self.picture(data))
        if self.rule.channel_order == "BGR":
            pixels = pixels[..., ::-1]
        return np.ascontiguousarray(pixels)  # engines read the memory in this order

    def picture(self, data: bytes) -> Image.Image:
        """Decodes, crops and scales an image, and returns it as a picture that people can look at, in mode RGB.

        Raises:
            UndecodableImage: see `__call__`.
        """
        return render(data, self._square, max_pixels=self.max_pixels)

    def _square(self, image_size: tuple[int, int]) -> Cut:
        """The centred square, scaled to the input size. It is not rounded to whole pixels."""
        size = self.rule.width
        side = self.rule.crop * min(image_size)
        left, top = ((length - side) / 2 for length in image_size)
        return Cut((left, top, left + side, top + side), (size, size))
