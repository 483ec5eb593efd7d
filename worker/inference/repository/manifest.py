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
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, TypeGuard

FORMAT = 1

# kind -> file name inside a version's folder
FILES: Mapping[str, str] = {
    "keras": "model.keras",
    "xml": "model.xml",
    "bin": "model.bin",
    "labels": "labels.tsv",
}
MANIFEST = "manifest.json"

_SHA256 = re.compile(r"[0-9a-f]{64}")


class InvalidManifest(ValueError):
    """The text is not a valid manifest; the message says why."""


@dataclass(frozen=True)
class Preprocessing:
    """How image bytes become the network's input, a float32 array of shape (size, size, 3).

    The image is cropped to the centred square with sides of `size / (size + crop_margin) * min(width, height)` pixels
    and scaled to `size` x `size`. Then each channel becomes `(x - mean) / std`, where x is 0..255; `mean` and `std`
    are in `channel_order`.

    The default margin of 32 is `CROP_PADDING` of EfficientNet in the TensorFlow TPU models: 224 of 256 pixels.
    """

    size: int
    channel_order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: str = "centre"
    crop_margin: int = 32
    resampling: str = "bicubic"

    def __post_init__(self) -> None:
        if not (_is_count(self.size) and 1 <= self.size <= 4096):
            raise InvalidManifest(f"input size {self.size!r} is not a whole number from 1 to 4096")
        if self.channel_order not in ("RGB", "BGR"):
            raise InvalidManifest(f"channel order {self.channel_order!r} is neither RGB nor BGR")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != 3 or not all(_is_number(value) for value in values):
                raise InvalidManifest(f"{name} is not three finite numbers")
        if min(self.std) <= 0:
            raise InvalidManifest("std is not above zero")
        if self.crop != "centre" or self.resampling != "bicubic":
            raise InvalidManifest(f"crop {self.crop!r} with resampling {self.resampling!r} is not supported")
        if not _is_count(self.crop_margin):
            raise InvalidManifest(f"crop margin {self.crop_margin!r} is not a whole number from 0")


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights come from: a Python `package`, a `file` of the user, or a `download` by Keras."""

    kind: Literal["package", "file", "download"]
    reference: str
    sha256: str | None  # None for a download, which Keras verifies itself
    license: str | None  # None if unknown

    def __post_init__(self) -> None:
        if self.kind not in ("package", "file", "download"):
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
    """The manifest of one model version. `files` has one record for each kind in `FILES`."""

    name: str
    version: int
    created: str  # ISO 8601, UTC
    source: WeightsSource
    preprocessing: Preprocessing
    classes: int
    output: str
    builders: Mapping[str, str]  # package -> version
    files: Mapping[str, FileRecord]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.created, str):
            raise InvalidManifest("name and created are not text")
        if not (_is_count(self.version) and self.version >= 1):
            raise InvalidManifest(f"version {self.version!r} is not a whole number from 1")
        if not (_is_count(self.classes) and self.classes >= 2):
            raise InvalidManifest(f"{self.classes!r} is not a number of classes")
        if self.output != "softmax":
            raise InvalidManifest(f"output {self.output!r} is not softmax")
        if set(self.files) != set(FILES):
            raise InvalidManifest(f"the files are not exactly {', '.join(FILES)}")

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
        if body.pop("format", None) != FORMAT:
            raise InvalidManifest(f"it is not of format {FORMAT}")
        body.pop("digest", None)
        try:
            manifest = cls._from_fields(body)
            unchanged = manifest.to_json() == text
        except InvalidManifest:
            raise
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InvalidManifest(f"a field is missing or invalid ({error})") from error
        if not unchanged:
            raise InvalidManifest("it was changed after the installation")
        return manifest

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
