"""What is known about a network's preprocessing before its manifest is complete, and the named presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

from worker.inference.importing.errors import ImportRefused
from worker.inference.repository.manifest import (
    ChannelOrder,
    Interpolation,
    InvalidManifest,
    Preprocessing,
    Resize,
)


@dataclass(frozen=True)
class PartialPreprocessing:
    """The fields of `Preprocessing` that are known; the others are None."""

    size: tuple[int, int] | None = None  # width, height
    channel_order: ChannelOrder | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: Resize | None = None
    crop: float | None = None
    interpolation: Interpolation | None = None

    def __or__(self, other: PartialPreprocessing) -> Self:
        """What is known here, and else what is known in `other`."""
        missing = {field.name for field in fields(self) if getattr(self, field.name) is None}
        return replace(self, **{name: getattr(other, name) for name in missing})

    def require_normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The mean and the standard deviation.

        Raises:
            ImportRefused: they are unknown.
        """
        if self.mean is None or self.std is None:
            raise ImportRefused(
                "it is unknown how pixels become the network's input; pass one of"
                f" --preset {'|'.join(PRESETS)}, or --mean and --std"
            )
        return self.mean, self.std

    def normalisation(self, channels: int) -> tuple[ChannelOrder, tuple[float, ...], tuple[float, ...]]:
        """The channel order, the mean and the standard deviation for a network with this many channels.

        Raises:
            ImportRefused: they are unknown, do not fit the number of channels, or are those of pixels from 0 to 1; or
                the standard deviation is not above zero.
        """
        known_mean, known_std = self.require_normalisation()
        order = self.channel_order or ("L" if channels == 1 else "RGB")
        if len(order) != channels:
            raise ImportRefused(f"the network takes {channels} channels, and --channels {order} has {len(order)}")
        mean, std = _fitted("mean", known_mean, channels), _fitted("std", known_std, channels)
        if min(std) <= 0:
            raise ImportRefused(f"std must be above zero, and is {', '.join(f'{value:g}' for value in std)}")
        if max(mean) <= 1 and max(std) < 1:
            values = [",".join(f"{255 * value:.7g}" for value in numbers) for numbers in (mean, std)]
            raise ImportRefused(
                "mean and std are for pixels from 0 to 255, and these seem to be for pixels from 0 to 1; pass"
                f" --mean {values[0]} --std {values[1]}"
            )
        return order, mean, std

    def complete(self, width: int, height: int, channels: int) -> Preprocessing:
        """The preprocessing for a network that takes images of this size.

        Unknown values are those of Keras' `image_dataset_from_directory`: the whole image, stretched, bilinear.

        Raises:
            ImportRefused: see `normalisation`; or a value is invalid.
        """
        order, mean, std = self.normalisation(channels)
        try:
            return Preprocessing(
                width,
                height,
                order,
                mean,
                std,
                resize=self.resize or "stretch",
                crop=1.0 if self.crop is None else self.crop,
                interpolation=self.interpolation or "bilinear",
            )
        except InvalidManifest as error:
            raise ImportRefused(f"the preprocessing cannot be used: {error}") from error


def _fitted(what: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) != channels and len(set(values)) == 1:
        return values[:1] * channels
    if len(values) != channels:
        raise ImportRefused(f"--{what} has {len(values)} numbers, and the network takes {channels} channels")
    return values


def _equal(mean: float, std: float) -> PartialPreprocessing:
    return PartialPreprocessing(mean=(mean,) * 3, std=(std,) * 3)


# The first three are the modes of Keras' `preprocess_input`, on pixels from 0 to 255.
PRESETS: Mapping[str, PartialPreprocessing] = {
    "keras-tf": _equal(127.5, 127.5),  # from -1 to 1
    "keras-torch": PartialPreprocessing(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)),
    "keras-caffe": PartialPreprocessing(channel_order="BGR", mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)),
    "unit": _equal(0.0, 255.0),  # from 0 to 1
    "raw": _equal(0.0, 1.0),  # from 0 to 255: the network normalises, for example with a Rescaling layer
    # EfficientNet-Lite of the TensorFlow TPU models: 224 of 256 pixels
    "lite": replace(_equal(127.0, 128.0), resize="shortest", crop=0.875, interpolation="bicubic"),
}
