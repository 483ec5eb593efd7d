from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.inference.classifier import Classification, Classifier
from worker.inference.engines import ENGINES, EngineError, engines_for, load_engine, openvino
from worker.inference.preprocessing import Preprocessor
from worker.inference.repository import Damaged, ModelVersion, Repository
from worker.inference.tests.pictures import PHOTOS, photo
from worker.inference.tests.tiny_networks import add_version


@pytest.fixture(scope="module")
def version(models: Repository) -> ModelVersion:
    return models.get("efficientnet-lite0")


def _photos(version: ModelVersion) -> NDArray[np.uint8]:
    preprocess = Preprocessor(version.manifest.preprocessing)
    return np.stack([preprocess(photo(name)) for name in PHOTOS])


def _assert_agrees_with_reference(version: ModelVersion, engine: str) -> None:
    batch = _photos(version)
    expected = load_engine(version, engine="tensorflow").predict(batch)
    answers = load_engine(version, engine=engine).predict(batch)
    assert answers.shape == expected.shape == (len(PHOTOS), 1000)
    assert np.abs(answers - expected).max() < 1e-3
    labels = [version.labels[i].name for i in answers.argmax(axis=1)]
    assert labels[PHOTOS.index("coffee")] == "espresso"
    assert labels[PHOTOS.index("chelsea")] in ("tiger_cat", "Egyptian_cat", "tabby")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_agrees_with_reference_on_real_photos(version: ModelVersion, engine: str) -> None:
    _assert_agrees_with_reference(version, engine)


@pytest.mark.processes  # builds two large networks
@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_openvino_agrees_with_reference_on_larger_networks(tmp_path: Path, name: str) -> None:
    _assert_agrees_with_reference(Repository(tmp_path).install(name), "openvino")


@pytest.mark.parametrize("engine", ENGINES)
def test_accepts_any_batch_size_and_never_overwrites_an_answer(version: ModelVersion, engine: str) -> None:
    loaded = load_engine(version, engine=engine)
    loaded.warm_up([1, 3])
    batch = _photos(version)
    together = loaded.predict(batch)
    kept = together.copy()
    one_by_one = np.concatenate([loaded.predict(batch[i : i + 1]) for i in range(len(batch))])
    np.testing.assert_allclose(one_by_one, together, atol=1e-4)
    np.testing.assert_array_equal(together, kept)
    assert together.dtype == np.float32
    assert loaded.streams >= 1
    assert loaded.micro_batch_size >= 1


def test_features_change_no_probability(version: ModelVersion) -> None:
    batch = _photos(version)
    plain, engine = load_engine(version), load_engine(version, features=True)
    probabilities, features = engine.predict_with_features(batch)
    np.testing.assert_array_equal(probabilities, plain.predict(batch))
    np.testing.assert_array_equal(engine.predict(batch), probabilities)
    assert features is not None
    assert features.dtype == np.float32
    assert features.shape == (len(PHOTOS), 1280)
    assert len(engine.backbone) == 16
    assert (plain.backbone, plain.predict_with_features(batch)[1]) == ("", None)


def test_last_layer_on_features_gives_the_probabilities(version: ModelVersion) -> None:
    from worker.inference.keras_runtime import keras

    kernel, bias = keras.saving.load_model(version.file("keras")).layers[-1].get_weights()
    probabilities, features = load_engine(version, features=True).predict_with_features(_photos(version))
    assert features is not None
    logits = features.astype(np.float16).astype(np.float32) @ kernel + bias
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(exponentials / exponentials.sum(axis=1, keepdims=True), probabilities, atol=1e-3)


def test_tensorflow_has_no_features(version: ModelVersion) -> None:
    engine = load_engine(version, engine="tensorflow", features=True)
    assert (engine.backbone, engine.predict_with_features(_photos(version))[1]) == ("", None)


def test_tensorflow_traces_network_once(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    from worker.inference.keras_runtime import keras

    calls: list[Any] = []
    real = keras.Model.__call__

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(keras.Model, "__call__", counted)
    loaded = load_engine(version, engine="tensorflow")
    loaded.warm_up([1, 2, 3])
    assert len(calls) == 1


class UniformEngine:
    """Implements `Engine`; every class gets the same probability."""

    streams = 1
    micro_batch_size = 4
    backbone = ""

    def __init__(self, version: ModelVersion, *, precision: str, threads: int, features: bool) -> None:
        self.classes = version.manifest.classes

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((len(batch), self.classes), 1 / self.classes, np.float32)

    def predict_with_features(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], None]:
        return self.predict(batch), None

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        pass


def test_another_engine_needs_one_line_in_the_table(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "uniform", f"{__name__}:UniformEngine")
    (answer,) = Classifier.load(version, engine="uniform").classify([photo("coffee")]).answers
    assert isinstance(answer, Classification)
    assert answer.score == pytest.approx(1 / 1000)


def test_engines_for_a_version_are_known_without_loading_it(version: ModelVersion, repository: Repository) -> None:
    assert engines_for(version) == list(ENGINES)
    animals = add_version(repository)
    assert engines_for(animals) == ["openvino"]
    with pytest.raises(EngineError, match="animals@1 lacks a file that the tensorflow engine needs: use the openvino"):
        load_engine(animals, engine="tensorflow")


def test_one_thread_gives_the_same_answers(version: ModelVersion) -> None:
    batch = _photos(version)
    expected = load_engine(version).predict(batch)
    np.testing.assert_allclose(load_engine(version, threads=1).predict(batch), expected, atol=1e-4)


def test_bf16_gives_nearly_the_same_answers(version: ModelVersion) -> None:
    batch = _photos(version)
    try:
        answers = load_engine(version, precision="bf16").predict(batch)
    except EngineError as error:
        pytest.skip(str(error))
    assert np.abs(answers - load_engine(version).predict(batch)).max() < 0.05


def test_rejects_bf16_where_openvino_computes_in_f32(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    options = openvino._options
    monkeypatch.setattr(openvino, "_options", lambda _precision, threads: options("f32", threads))
    with pytest.raises(EngineError, match="computes in f32 on this machine, although bf16 was asked for"):
        load_engine(version, precision="bf16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "onnx"}, "engine 'onnx' is not available; available: openvino, tensorflow"),
        ({"precision": "int4"}, "precision 'int4' is not available; available: f32, bf16"),
        ({"engine": "tensorflow", "precision": "bf16"}, "computes in f32 only"),
        ({"engine": "tensorflow", "threads": 7}, "already runs in this process"),
        ({"threads": -1}, "-1 is not a number of threads"),
    ],
)
def test_rejects_unavailable_options(version: ModelVersion, options: dict[str, Any], message: str) -> None:
    if "threads" in options:
        load_engine(version, engine="tensorflow")
    with pytest.raises(EngineError, match=message):
        load_engine(version, **options)


@pytest.mark.parametrize(("engine", "file"), [("openvino", "xml"), ("openvino", "bin"), ("tensorflow", "keras")])
def test_rejects_damaged_version(repository: Repository, weights: Path, engine: str, file: str) -> None:
    version = repository.install("fake-net", weights=weights)
    path = version.file(file)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(Damaged, match=path.name):
        load_engine(version, engine=engine)


@pytest.fixture
def without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for name in ("worker.inference.keras_runtime", "worker.inference.engines.tensorflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("without_tensorflow")
def test_names_missing_package(version: ModelVersion) -> None:
    with pytest.raises(EngineError, match="needs the package tensorflow"):
        load_engine(version, engine="tensorflow")
