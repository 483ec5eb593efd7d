"""Reads the preprocessing of a network from the files that timm and Hugging Face's transformers keep it in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

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


def read_preprocessing(path: Path) -> PartialPreprocessing:
    """Reads timm's `config.json` (its `pretrained_cfg`) or Hugging Face's `preprocessor_config.json`.

    Raises:
        ImportRefused: it cannot be read, or holds no preprocessing that this site knows.
    """
    contents = read_json(path)
    try:
        found = _from_contents(contents)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, ZeroDivisionError) as error:
        raise ImportRefused(f"{path.name}: its preprocessing cannot be read ({error})") from error
    if found is None:
        raise ImportRefused(f"{path.name} holds no preprocessing of timm or Hugging Face")
    return found


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
    return isinstance(contents, dict) and bool({"pretrained_cfg", "image_mean", "do_normalize"} & set(contents))


def _from_contents(contents: Any) -> PartialPreprocessing | None:
    if not _has_preprocessing(contents):
        return None
    return _from_timm(contents["pretrained_cfg"]) if "pretrained_cfg" in contents else _from_hugging_face(contents)


def _from_timm(config: dict[str, Any]) -> PartialPreprocessing:
    _channels, height, width = (int(side) for side in config["input_size"])
    mean, std = (tuple(255 * float(value) for value in config[key]) for key in ("mean", "std"))
    interpolation = config.get("interpolation", "bilinear")
    return PartialPreprocessing(
        size=(width, height),
        mean=mean,
        std=std,
        resize=_CROP_MODES[config.get("crop_mode") or "center"],
        crop=float(config.get("crop_pct") or 1),
        interpolation=interpolation if interpolation in get_args(Interpolation) else "bilinear",
    )


def _from_hugging_face(config: dict[str, Any]) -> PartialPreprocessing:
    factor = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0
    is_normalised = config.get("do_normalize", True)
    mean = _numbers(config["image_mean"]) if is_normalised else (0.0,) * 3
    std = _numbers(config["image_std"]) if is_normalised else (1.0,) * 3
    size, resize, crop = _cut(config)
    return PartialPreprocessing(
        size=size,
        mean=tuple(value / factor for value in mean),
        std=tuple(value / factor for value in std),
        resize=resize,
        crop=crop,
        interpolation=_FILTERS[int(config.get("resample", 2))],
    )


def _cut(config: dict[str, Any]) -> tuple[tuple[int, int], Resize, float]:
    """The input size, how the image is scaled, and the part of it that is used."""
    size = config["size"]
    cropped = _pair(config["crop_size"]) if config.get("do_center_crop") and config.get("crop_size") else None
    if isinstance(size, dict) and "shortest_edge" in size:
        shortest = int(size["shortest_edge"])
        if cropped:
            return cropped, "shortest", min(1.0, min(cropped) / shortest)
        part = config.get("crop_pct")  # ConvNeXt cuts smaller inputs from larger images
        square = (shortest, shortest)
        return (square, "shortest", float(part)) if part and shortest < 384 else (square, "stretch", 1.0)
    whole = _pair(size)
    if cropped and isinstance(size, int):
        return cropped, "shortest", min(1.0, min(cropped) / size)
    if cropped:
        return cropped, "stretch", min(1.0, min(cropped) / min(whole))
    return whole, "stretch", 1.0


def _pair(size: Any) -> tuple[int, int]:
    """Width and height."""
    return (int(size["width"]), int(size["height"])) if isinstance(size, dict) else (int(size), int(size))


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(number) for number in value) if isinstance(value, list) else (float(value),) * 3
