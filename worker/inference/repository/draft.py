"""What a version is, before it has a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.inference.repository.manifest import Preprocessing, WeightsPrecision, WeightsSource


@dataclass(frozen=True)
class VersionDraft:
    """The fields of a manifest that the builder of a version provides; see `ModelManifest`."""

    source: WeightsSource
    preprocessing: Preprocessing
    precision: WeightsPrecision = "f32"
    base: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    builders: Mapping[str, str] = field(default_factory=dict)  # package -> version
