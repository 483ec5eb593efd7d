"""The manifest of a model version: its files, the source of its weights, and its preprocessing.

A manifest is a JSON file in canonical form. It holds the SHA-256 of each file and its own digest, so that a change of
any byte is detected, even in the manifest.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, TypeGuard, get_args

FORMAT = 2

# kind -> file name inside a version's folder
FILES: Mapping[str, str] = {
    "keras": "model.keras",
    "xml": "model.xml",
    "bin": "model.bin",
    "labels": "labels.tsv",
    "references": "references.zip",
}
# Only versions that were built from a Keras model have `keras`, and those that were imported with images `references`.
OPTIONAL_FILES = frozenset({"keras", "references"})
MANIFEST = "manifest.json"

ChannelOrder = Literal["RGB", "BGR", "L"]
Resize = Literal["shortest", "stretch", "pad"]
Interpolation = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
WeightsPrecision = Literal["f32", "int8"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


class InvalidManifest(ValueError):
    """The text is not a valid manifest; the message says why."""


@dataclass(frozen=True)
class Preprocessing:
    """How image bytes become the network's input, a float32 array of `shape`.

    First the image is cut and scaled to `width` x `height`, with Pillow's filter `interpolation`:

    - `shortest`: to the largest centred box with the input's aspect ratio, whose sides are then multiplied by `crop`.
    - `stretch`: to the whole image, whose sides are multiplied by `crop`; its aspect ratio is lost.
    - `pad`: to the whole image, which keeps its aspect ratio and gets a border.

    Then each channel becomes `(x - mean) / std`, where x is 0..255; `mean` and `std` are in `channel_order`, and have
    one value for the greyscale `L`, else three.
    """

    width: int
    height: int
    channel_order: ChannelOrder
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: Resize = "shortest"
    crop: float = 1.0
    interpolation: Interpolation = "bicubic"

    @classmethod
    def central_square(
        cls,
        size: int,
        channel_order: ChannelOrder,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        margin: int = 32,
    ) -> Self:
        """Returns the usual rule for ImageNet: the centred `size` x `size` pixels of an image that is scaled so that
        its shorter side has `size + margin`.

        The default margin is `CROP_PADDING` of EfficientNet in the TensorFlow TPU models: 224 of 256 pixels.
        """
        return cls(size, size, channel_order, mean, std, crop=size / (size + margin))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The network's input for one image: height, width, channels."""
        return self.height, self.width, len(self.channel_order)

    def __post_init__(self) -> None:
        for side in (self.width, self.height):
            if not (_is_count(side) and 1 <= side <= 4096):
                raise InvalidManifest(f"input size {side!r} is not a whole number from 1 to 4096")
        for name, value, known in (
            ("channel order", self.channel_order, ChannelOrder),
            ("resize", self.resize, Resize),
            ("interpolation", self.interpolation, Interpolation),
        ):
            if value not in get_args(known):
                raise InvalidManifest(f"{name} {value!r} is not one of {', '.join(get_args(known))}")
        for name in ("mean", "std"):
            values, number = getattr(self, name), len(self.channel_order)
            if len(values) != number or not all(_is_number(value) for value in values):
                raise InvalidManifest(f"{name} is not {number} finite numbers")
        if min(self.std) <= 0:
            raise InvalidManifest("std is not above zero")
        if not (_is_number(self.crop) and 0 < self.crop <= 1):
            raise InvalidManifest(f"crop {self.crop!r} is not a number above 0 and at most 1")


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights come from: a Python `package`, a user's `file`, a `download` by Keras or a `version`."""

    kind: Literal["package", "file", "download", "version"]
    reference: str
    sha256: str | None  # None for a download, which Keras verifies itself
    license: str | None  # None if unknown

    def __post_init__(self) -> None:
        if self.kind not in ("package", "file", "download", "version"):
            raise InvalidManifest(f"source kind {self.kind!r} is unknown")
        if not isinstance(self.reference, str) or not self.reference:
            raise InvalidManifest("the source has no reference")
        if not (self.sha256 is None or _is_sha256(self.sha256)):
            raise InvalidManifest("the source's sha256 is not 64 hexadecimal digits")
        if not (self.license is None or isinstance(self.license, str)):
            raise InvalidManifest("the source's license is not text")

    def same_weights(self, other: WeightsSource) -> bool:
        """Whether both are the same weights, even if they have different origins."""
        if self.sha256 or other.sha256:
            return self.sha256 == other.sha256
        return (self.kind, self.reference) == (other.kind, other.reference)


@dataclass(frozen=True)
class FileRecord:
    """The SHA-256 and the size in bytes of a file at the installation."""

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not _is_sha256(self.sha256) or not _is_count(self.size):
            raise InvalidManifest("a file has no valid sha256 and size")


@dataclass(frozen=True)
class ModelManifest:
    """The manifest of one model version.

    Attributes:
        files: one record for each kind in `FILES`; those of `OPTIONAL_FILES` may be missing.
        precision: of the weights. `f32` weights can also be computed in bf16.
        base: the version that this one was made from, or empty.
        details: what an import has found out about the network, for people to read.
    """

    name: str
    version: int
    created: str  # ISO 8601, UTC
    source: WeightsSource
    preprocessing: Preprocessing
    classes: int
    output: str
    builders: Mapping[str, str]  # package -> version
    files: Mapping[str, FileRecord]
    precision: WeightsPrecision = "f32"
    base: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.created, str):
            raise InvalidManifest("name and created are not text")
        if not (_is_count(self.version) and self.version >= 1):
            raise InvalidManifest(f"version {self.version!r} is not a whole number from 1")
        if not (_is_count(self.classes) and self.classes >= 2):
            raise InvalidManifest(f"{self.classes!r} is not a number of classes")
        if self.output != "softmax":
            raise InvalidManifest(f"output {self.output!r} is not softmax")
        if not set(FILES) - OPTIONAL_FILES <= set(self.files) <= set(FILES):
            raise InvalidManifest(f"the files are not {', '.join(FILES)}")
        if self.precision not in get_args(WeightsPrecision):
            raise InvalidManifest(f"precision {self.precision!r} is not one of {', '.join(get_args(WeightsPrecision))}")
        if not isinstance(self.base, str):
            raise InvalidManifest("base is not text")
        for name, texts in (("builders", self.builders), ("details", self.details)):
            if not (isinstance(texts, Mapping) and all(isinstance(text, str) for text in (*texts, *texts.values()))):
                raise InvalidManifest(f"{name} are not texts")

    def is_same_network(self, other: ModelManifest) -> bool:
        """Whether both give the same answers, with the same labels and reference images.

        Even then, the files of two builds may differ in some bytes.
        """
        return (
            self.name == other.name
            and self.source.same_weights(other.source)
            and (self.preprocessing, self.classes) == (other.preprocessing, other.classes)
            and self.files["labels"] == other.files["labels"]
            and self.files.get("references") == other.files.get("references")
            and (self.precision, self.base, self.details) == (other.precision, other.base, other.details)
        )

    def to_json(self) -> str:
        """The canonical JSON text: sorted keys, with a digest of the other fields."""
        body = {"format": FORMAT, **asdict(self)}
        return _canonical({**body, "digest": _digest(body)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads a manifest.

        Raises:
            InvalidManifest: it is not JSON, lacks a field, has an invalid field, or was changed.
        """
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidManifest("it is not JSON") from error
        if not isinstance(body, dict):
            raise InvalidManifest("it is not a JSON object")
        body.pop("digest", None)
        try:
            unchanged = _canonical({**body, "digest": _digest(body)}) == text
        except (TypeError, ValueError) as error:
            raise InvalidManifest("it is not in canonical form") from error
        if not unchanged:
            raise InvalidManifest("it was changed after the installation")
        number = body.pop("format", None)
        if number not in (1, FORMAT):
            raise InvalidManifest(f"its format {number!r} is not known to this release")
        try:
            return cls._from_fields(_upgraded(body) if number == 1 else body)
        except InvalidManifest:
            raise
        except (TypeError, ValueError, AttributeError, OverflowError, KeyError) as error:
            raise InvalidManifest(f"a field is missing or invalid ({error})") from error

    @classmethod
    def _from_fields(cls, body: dict[str, Any]) -> Self:
        preprocessing = dict(body.pop("preprocessing", {}))
        for name in ("mean", "std"):
            preprocessing[name] = tuple(preprocessing.get(name, ()))
        files = body.pop("files", {})
        return cls(
            source=WeightsSource(**body.pop("source", {})),
            preprocessing=Preprocessing(**preprocessing),
            files={kind: FileRecord(**record) for kind, record in files.items()},
            **body,
        )


def _upgraded(body: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of a manifest of format 1 as those of format 2.

    Format 1 knew only square inputs, cut from the centre.
    """
    old = body["preprocessing"]
    size = old["size"]
    new = {
        "width": size,
        "height": size,
        "channel_order": old["channel_order"],
        "mean": old["mean"],
        "std": old["std"],
        "crop": size / (size + old["crop_margin"]),
        "interpolation": old["resampling"],
    }
    return {**body, "preprocessing": new}


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
