from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worker.inference.engines import load_engine
from worker.inference.keras_runtime import keras
from worker.inference.repository import Repository, WeightsMismatch, WeightsUnavailable
from worker.inference.repository.keras_applications import RECIPES, KerasApplication

pytestmark = pytest.mark.processes  # Keras builds whole networks: minutes

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def test_table_has_every_classifier_of_keras() -> None:
    functions = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert {recipe.function for recipe in RECIPES} == functions


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_normalises_like_keras(recipe: KerasApplication) -> None:
    module = getattr(keras.applications, recipe.module)
    function = inspect.unwrap(getattr(keras.applications, recipe.function))
    assert function.__module__.rpartition(".")[2] == recipe.module
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3)).astype(np.float32)
    expected = module.preprocess_input(pixels.copy())
    rule = recipe.preprocessing
    ours: Any = pixels[..., ::-1] if rule.channel_order == "BGR" else pixels
    ours = (ours - np.array(rule.mean, np.float32)) / np.array(rule.std, np.float32)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """MobileNetV2 with random weights, in each format of Keras."""
    network = keras.applications.MobileNetV2(weights=None)
    folder = tmp_path_factory.mktemp("weights")
    paths = {suffix: folder / f"mobile{suffix}" for suffix in (".weights.h5", ".keras", ".h5")}
    network.save_weights(paths[".weights.h5"])
    network.save(paths[".keras"])
    return paths


def test_a_file_of_weights_installs_and_both_engines_agree(tmp_path: Path, random_weights: dict[str, Path]) -> None:
    repository = Repository(tmp_path / "models")
    version = repository.install("MobileNetV2", weights=random_weights[".weights.h5"])
    assert str(version) == "mobilenetv2@1"
    assert version.manifest.source.kind == "file"
    assert version.manifest.source.reference == "mobile.weights.h5"
    assert repository.verify() == []
    batch = np.random.default_rng(1).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
    answers = [load_engine(version, engine=engine).predict(batch) for engine in ("openvino", "tensorflow")]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-4)
    np.testing.assert_allclose(answers[0].sum(axis=1), 1, atol=1e-4)


def test_resnet50_gets_blue_first_and_no_division(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.weights.h5"
    keras.applications.ResNet50(weights=None).save_weights(path)
    version = Repository(tmp_path / "models").install("resnet50", weights=path)
    rule = version.manifest.preprocessing
    assert (rule.channel_order, rule.shape, rule.std) == ("BGR", (224, 224, 3), (1.0, 1.0, 1.0))
    assert rule.mean == (103.939, 116.779, 123.68)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_reads_every_format_of_weights(random_weights: dict[str, Path], suffix: str) -> None:
    recipe = BY_NAME["mobilenetv2"]
    expected = keras.saving.load_model(random_weights[".keras"]).get_weights()
    for ours, theirs in zip(
        recipe.network(recipe.weights(random_weights[suffix])).get_weights(), expected, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x89HDF\r\n\x1a\n", b"text"])
@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_rejects_malformed_file(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"nonsense{suffix}"
    path.write_bytes(content)
    _assert_rejected(BY_NAME["mobilenet"], path)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_rejects_weights_of_another_network(random_weights: dict[str, Path], suffix: str) -> None:
    _assert_rejected(BY_NAME["mobilenet"], random_weights[suffix])


def _assert_rejected(recipe: KerasApplication, path: Path) -> None:
    with pytest.raises(WeightsMismatch, match=f"{path.name} does not fit") as caught:
        recipe.network(recipe.weights(path))
    assert "\n" not in str(caught.value)


def test_failed_download_suggests_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(**_: Any) -> None:
        raise Exception("URL fetch failure on https://weights.example: None -- [Errno -2]\nmore")

    monkeypatch.setattr(keras.applications, "ResNet50", no_network)
    repository = Repository(tmp_path / "models")
    with pytest.raises(WeightsUnavailable, match=r"could not download .* --weights FILE$"):
        repository.install("resnet50")
    assert repository.versions() == []


def test_installs_downloaded_weights_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = keras.applications.MobileNet, []

    def downloads(*, weights: str, **options: Any) -> keras.Model:
        calls.append(weights)
        return real(weights=None, **options)

    monkeypatch.setattr(keras.applications, "MobileNet", downloads)
    repository = Repository(tmp_path / "models")
    version = repository.install("mobilenet")
    assert version.manifest.source.reference == "keras.applications.MobileNet, imagenet"
    assert repository.install("mobilenet") == version
    assert calls == ["imagenet"]


def test_weights_from_a_file_give_the_downloaded_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras adds a layer to EfficientNet only if it downloads the weights itself."""
    recipe = BY_NAME["efficientnetb0"]
    path = tmp_path / "efficientnetb0.weights.h5"
    keras.applications.EfficientNetB0(weights=None).save_weights(path)
    source = inspect.getmodule(inspect.unwrap(keras.applications.EfficientNetB0))
    monkeypatch.setattr(source, "file_utils", _Downloaded(path))
    downloaded = recipe.network(recipe.weights(None))
    given = recipe.network(recipe.weights(path))
    batch = np.random.default_rng(2).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)
    layers = [layer.name for layer in given.layers if isinstance(layer, keras.layers.Rescaling)]
    assert len(layers) == 2
    stems = [_output_of(network, batch) for network in (downloaded, given)]
    np.testing.assert_allclose(stems[1], stems[0], rtol=1e-5, atol=1e-6)


class _Downloaded:
    """Replaces Keras' `file_utils`: the download is already there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_file(self, *_: Any, **__: Any) -> str:
        return str(self.path)


def _output_of(network: keras.Model, batch: Any) -> Any:
    """The output of the first convolution, because with random weights all final outputs are nearly equal."""
    stem = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    return np.asarray(keras.Model(network.input, stem.output)(batch))
