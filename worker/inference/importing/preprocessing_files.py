"""Reads the preprocessing of a network from the files that timm and Hugging Face's transformers keep it in.

A setting that changes what the network sees is applied, or refused by its name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.json_files import read_json
from worker.inference.importing.presets import PartialPreprocessing
from worker.inference.repository.manifest import Interpolation, Resize

# Looked for beside a network.
NAMES = ("preprocessor_config.json", "config.json")

_CROP_MODES: dict[str, Resize] = {"center": "shortest", "squash": "stretch", "border": "pad"}  # timm's names

# The numbers of Pillow's filters, which transformers writes.
_FILTERS: dict[int, Interpolation] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
}

# The steps of transformers that this module reads, or that do not change the pixels of a colour picture.
_STEPS = {
    "do_resize",
    "do_rescale",
    "do_normalize",
    "do_center_crop",
    "do_flip_channel_order",
    "do_convert_rgb",
    "do_reduce_labels",
}

Numbers = tuple[float, ...]
_Meaning = TypeVar("_Meaning")


class _InvalidSetting(ValueError):
    """A setting cannot be used; the message names it."""


def read_preprocessing(path: Path) -> PartialPreprocessing:
    """Reads timm's `config.json` (its `pretrained_cfg`) or Hugging Face's `preprocessor_config.json`.

    Raises:
        ImportRefused: it cannot be read, or holds no preprocessing that this site knows.
    """
    contents = read_json(path)
    if not _has_preprocessing(contents):
        raise ImportRefused(f"{path.name} holds no preprocessing of timm or Hugging Face")
    try:
        if "pretrained_cfg" in contents:
            return _from_timm(contents["pretrained_cfg"])
        return _from_hugging_face(contents)
    except _InvalidSetting as error:
        raise ImportRefused(f"{path.name}: {error}") from error


def find_preprocessing(network: Path) -> tuple[Path, PartialPreprocessing] | None:
    """The preprocessing in a file beside a network, or in a SavedModel's folder.

    Raises:
        ImportRefused: there is one, and it cannot be read.
    """
    folder = network if network.is_dir() else network.parent
    for path in (folder / name for name in NAMES):
        if path.is_file() and _has_preprocessing(read_json(path)):
            return path, read_preprocessing(path)
    return None


def _has_preprocessing(contents: Any) -> bool:
    known = {"pretrained_cfg", "image_mean", "do_normalize", "do_rescale", "do_flip_channel_order"}
    return isinstance(contents, dict) and bool(known & set(contents))


# --- timm -----------------------------------------------------------------------------------------


def _from_timm(config: Any) -> PartialPreprocessing:
    """What timm does to evaluate a network, with its defaults for settings that are missing."""
    if not isinstance(config, dict):
        raise _InvalidSetting(f"pretrained_cfg is {_shown(config)}, not an object")
    size = config.get("input_size")
    if not isinstance(size, list) or len(size) != 3:
        raise _InvalidSetting(f"input_size is {_shown(size)}, not three numbers: channels, height, width")
    _channels, height, width = (_pixels("input_size", side) for side in size)
    mean, std = _numbers(config, "mean"), _numbers(config, "std")
    _check_normalisation(mean, std, largest=1)
    return PartialPreprocessing(
        size=(width, height),
        mean=tuple(255 * value for value in mean),
        std=tuple(255 * value for value in std),
        resize=_chosen("crop_mode", config.get("crop_mode") or "center", _CROP_MODES),
        crop=_part("crop_pct", 0.875 if config.get("crop_pct") is None else config["crop_pct"]),
        interpolation=_interpolation(config.get("interpolation") or "bicubic"),
    )


def _interpolation(value: Any) -> Interpolation:
    name = value.strip().lower() if isinstance(value, str) else value
    if name == "random":
        raise _InvalidSetting('interpolation "random" is for training only: write the one of the evaluation')
    return _chosen("interpolation", name, {known: known for known in get_args(Interpolation)})


# --- Hugging Face ---------------------------------------------------------------------------------


def _from_hugging_face(config: dict[str, Any]) -> PartialPreprocessing:
    _check_steps(config)
    mean, std = _normalisation(config)
    is_flipped = _flag(config, "do_flip_channel_order", default=False)
    if is_flipped and (len(set(mean)) > 1 or len(set(std)) > 1):
        raise _InvalidSetting(
            "do_flip_channel_order is true, and image_mean or image_std differ between the channels: it is not clear"
            " which of them is for red; pass --channels, --mean and --std"
        )
    size, resize, crop = _cut(config)
    return PartialPreprocessing(
        size=size,
        channel_order="BGR" if is_flipped else None,
        mean=mean,
        std=std,
        resize=resize,
        crop=crop,
        interpolation=_chosen("resample", config.get("resample", 2), _FILTERS),
    )


def _check_steps(config: dict[str, Any]) -> None:
    if not _flag(config, "do_resize", default=True):
        raise _InvalidSetting("do_resize is false, and this site scales every picture to the size of the network")
    for name, value in config.items():
        if name.startswith("do_") and name not in _STEPS and value:
            raise _InvalidSetting(f"{name} is {_shown(value)}: this site does not have that step")


def _normalisation(config: dict[str, Any]) -> tuple[Numbers, Numbers]:
    """The mean and the standard deviation of pixels from 0 to 255."""
    factor, offset = 1.0, 0.0
    if _flag(config, "do_rescale", default=True):
        factor = _positive("rescale_factor", config.get("rescale_factor", 1 / 255))
        offset = _offset(config, factor)
    mean: Numbers = (0.0,) * 3
    std: Numbers = (1.0,) * 3
    if _flag(config, "do_normalize", default="image_mean" in config):
        mean, std = _numbers(config, "image_mean"), _numbers(config, "image_std")
        _check_normalisation(mean, std, largest=255 * factor)
    mean, std = tuple((value + offset) / factor for value in mean), tuple(value / factor for value in std)
    if _flag(config, "include_top", default=False):  # of EfficientNet: divides by `image_std` once more
        again = _numbers(config, "image_std")
        _check_normalisation((0.0,), again, largest=255 * factor)
        if len(again) != len(std):
            raise _InvalidSetting("image_mean and image_std have different lengths")
        std = tuple(one * other for one, other in zip(std, again, strict=True))
    return mean, std


def _offset(config: dict[str, Any], factor: float) -> float:
    """What is subtracted from the scaled pixels. Versions of transformers differ unless they end at 1."""
    if not _flag(config, "rescale_offset", default=False):
        return 0.0
    if not math.isclose(factor, 1 / 127.5, rel_tol=1e-6):
        raise _InvalidSetting(f"rescale_offset is true, which is clear only if rescale_factor is {1 / 127.5}")
    return 1.0


def _cut(config: dict[str, Any]) -> tuple[tuple[int, int], Resize, float]:
    """The input size, how the image is scaled, and the part of it that is used."""
    size = _without_nulls(config.get("size"))
    is_cropped = _flag(config, "do_center_crop", default=False)
    cropped = _pair("crop_size", _without_nulls(config.get("crop_size"))) if is_cropped else None
    if isinstance(size, dict) and set(size) == {"shortest_edge"}:
        shortest = _pixels("size", size["shortest_edge"])
        if cropped:
            return cropped, "shortest", _cropped_part(min(cropped), shortest)
        part = config.get("crop_pct")  # ConvNeXt cuts smaller inputs from larger images
        square = (shortest, shortest)
        if part is None or shortest >= 384:
            return square, "stretch", 1.0
        return square, "shortest", _part("crop_pct", part)
    whole = _pair("size", size)
    if cropped and not isinstance(size, dict):
        return cropped, "shortest", _cropped_part(min(cropped), whole[0])
    if cropped:
        if cropped[0] * whole[1] != cropped[1] * whole[0]:
            raise _InvalidSetting("crop_size has another aspect ratio than size: this site cuts both sides alike")
        return cropped, "stretch", _cropped_part(cropped[0], whole[0])
    return whole, "stretch", 1.0


def _cropped_part(side: int, whole: int) -> float:
    if side > whole:
        raise _InvalidSetting(f"crop_size is {side}, more than size, which is {whole}: this site adds no border")
    return side / whole


def _without_nulls(size: Any) -> Any:
    return {name: side for name, side in size.items() if side is not None} if isinstance(size, dict) else size


def _pair(name: str, size: Any) -> tuple[int, int]:
    """Width and height."""
    if not isinstance(size, dict):
        side = _pixels(name, size)
        return side, side
    if set(size) != {"width", "height"}:
        raise _InvalidSetting(f"{name} is {_shown(size)}: known are height and width, or shortest_edge")
    return _pixels(name, size["width"]), _pixels(name, size["height"])


# --- single values --------------------------------------------------------------------------------


def _flag(config: dict[str, Any], name: str, *, default: bool) -> bool:
    value = config.get(name)
    if value is not None and not isinstance(value, bool):
        raise _InvalidSetting(f"{name} is {_shown(value)}, not true or false")
    return default if value is None else value


def _number(name: str, value: Any) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _InvalidSetting(f"{name} is missing" if value is None else f"{name} is {_shown(value)}, not a number")
    return number


def _positive(name: str, value: Any) -> float:
    number = _number(name, value)
    if number <= 0:
        raise _InvalidSetting(f"{name} is {_shown(value)}, and must be above zero")
    return number


def _pixels(name: str, value: Any) -> int:
    number = _positive(name, value)
    if not number.is_integer():
        raise _InvalidSetting(f"{name} is {_shown(value)}, not a whole number of pixels")
    return int(number)


def _part(name: str, value: Any) -> float:
    number = _positive(name, value)
    if number > 1:
        raise _InvalidSetting(f"{name} is {_shown(value)}, and must be at most 1")
    return number


def _numbers(config: dict[str, Any], name: str) -> Numbers:
    """A number for each channel; one number is for all three."""
    value = config.get(name)
    if isinstance(value, list) and value:
        return tuple(_number(name, number) for number in value)
    return (_number(name, value),) * 3


def _check_normalisation(mean: Numbers, std: Numbers, *, largest: float) -> None:
    """Checks that these values fit pixels from 0 to `largest`, as those of the file are."""
    if min(std) <= 0:
        raise _InvalidSetting("std must be above zero")
    if max(mean) > largest or max(std) > 2 * largest:
        raise _InvalidSetting(
            f"mean and std are for pixels from 0 to {largest:.4g} in this file, and these seem to be for pixels from 0"
            " to 255"
        )


def _chosen(name: str, value: Any, meanings: Mapping[Any, _Meaning]) -> _Meaning:
    for known, meaning in meanings.items():
        if value == known and not isinstance(value, bool):
            return meaning
    raise _InvalidSetting(f"{name} is {_shown(value)}; known are {', '.join(map(str, meanings))}")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 50 else f"{text[:50]}..."
