"""A model without a network, so that tests can install versions within milliseconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.inference.repository.build import LABELS
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.manifest import FILES, ModelManifest, Preprocessing, _canonical, _digest
from worker.inference.repository.recipe import Recipe, Weights, weights_in
from worker.inference.tests.reference_zips import OF_ANIMALS

NAME = "fake-net"


class FakeRecipe:
    """Accepts any file named *.fake as weights."""

    name = NAME
    preprocessing = Preprocessing.central_square(8, "RGB", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))

    def weights(self, file: Path | None) -> Weights:
        assert file is not None
        return weights_in(file, ".fake")

    def network(self, weights: Weights) -> Any:
        raise NotImplementedError


def fake_build(recipe: Recipe, weights: Weights, folder: Path, report: Callable[[str], None]) -> VersionDraft:
    """Replaces `worker.inference.repository.build.build`: writes all files, but no engine can load them."""
    report("building")
    assert weights.path is not None
    for name in FILES.values():
        (folder / name).write_bytes(name.encode() + weights.path.read_bytes())
    shutil.copyfile(LABELS, folder / FILES["labels"])
    (folder / FILES["references"]).write_bytes(OF_ANIMALS)
    return VersionDraft(weights.source, recipe.preprocessing)


def in_format_1(manifest: ModelManifest) -> str:
    """Returns the text of a manifest as release 0.1.0 wrote it. Its preprocessing must be a `central_square`."""
    body = json.loads(manifest.to_json())
    del body["digest"], body["precision"], body["base"], body["details"]
    rule = manifest.preprocessing
    body["format"] = 1
    body["preprocessing"] = {
        "size": rule.width,
        "channel_order": rule.channel_order,
        "mean": rule.mean,
        "std": rule.std,
        "crop": "centre",
        "crop_margin": round(rule.width / rule.crop) - rule.width,
        "resampling": rule.interpolation,
    }
    return _canonical({**body, "digest": _digest(body)})
