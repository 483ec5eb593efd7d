from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.inference import engines
from worker.inference.engines import EngineError, load_engine
from worker.inference.preprocessing import Preprocessor
from worker.inference.repository import Damaged, ModelVersion, Repository
from worker.inference.tests.pictures import PHOTOS, photo


@pytest.fixture(scope="module")
def version(models: Repository) -> ModelVersion:
    return models.get("efficientnet-lite0")


def _photos(version: ModelVersion) -> NDArray[np.uint8]:
    preprocess = Preprocessor(version.manifest.preprocessing)
    return np.stack([preprocess(photo(name)) for name in PHOTOS])


def test_tensorflow_and_openvino_agree_on_real_photos(version: ModelVersion) -> None:
    _assert_agreement(version)


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_the_larger_ones_agree_too(tmp_path: Path, name: str) -> None:
    _assert_agreement(Repository(tmp_path).install(name))


def _assert_agreement(version: ModelVersion) -> None:
    batch = _photos(version)
    answers = [load_engine(version, engine=engine).predict(batch) for engine in ("openvino", "tensorflow")]
    assert answers[0].shape == answers[1].shape == (len(PHOTOS), 1000)
    assert np.abs(answers[0] - answers[1]).max() < 1e-3
    labels = [version.labels[i] for i in answers[0].argmax(axis=1)]
    assert labels[PHOTOS.index("coffee")] == "espresso"
    assert labels[PHOTOS.index("chelsea")] in ("tiger_cat", "Egyptian_cat", "tabby")


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_any_batch_size_and_answers_of_their_own(version: ModelVersion, engine: str) -> None:
    loaded = load_engine(version, engine=engine)
    loaded.warm_up([1, 3])
    batch = _photos(version)
    together = loaded.predict(batch)
    kept = together.copy()
    one_by_one = np.concatenate([loaded.predict(batch[i : i + 1]) for i in range(len(batch))])
    np.testing.assert_allclose(one_by_one, together, atol=1e-4)
    np.testing.assert_array_equal(together, kept)  # not overwritten by the later batches
    assert together.dtype == np.float32


def test_tensorflow_traces_once(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_one_thread_gives_the_same_answers(version: ModelVersion) -> None:
    batch = _photos(version)
    expected = load_engine(version).predict(batch)
    np.testing.assert_allclose(load_engine(version, threads=1).predict(batch), expected, atol=1e-4)


def test_bf16_gives_nearly_the_same_answers_or_says_that_it_cannot(version: ModelVersion) -> None:
    batch = _photos(version)
    try:
        answers = load_engine(version, precision="bf16").predict(batch)
    except EngineError as error:
        pytest.skip(str(error))
    assert np.abs(answers - load_engine(version).predict(batch)).max() < 0.05


def test_bf16_on_a_machine_without_it(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    core = SimpleNamespace(get_property=lambda *_: ["FP32", "INT8"])
    monkeypatch.setattr("worker.inference.engines.openvino._core", lambda: core)
    with pytest.raises(EngineError, match="no bf16 arithmetic: use precision f32"):
        load_engine(version, precision="bf16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "onnx"}, "engine 'onnx' is not one of openvino, tensorflow"),
        ({"precision": "int4"}, "precision 'int4' is not one of f32, bf16"),
        ({"engine": "tensorflow", "precision": "bf16"}, "computes in f32 only"),
        ({"engine": "tensorflow", "threads": 7}, "runs already in this process"),
        ({"threads": -1}, "-1 is not a number of threads"),
    ],
)
def test_what_cannot_be_had_is_said(version: ModelVersion, options: dict[str, Any], message: str) -> None:
    if "threads" in options:
        load_engine(version, engine="tensorflow")
    with pytest.raises(EngineError, match=message):
        load_engine(version, **options)


@pytest.mark.parametrize(("engine", "file"), [("openvino", "xml"), ("openvino", "bin"), ("tensorflow", "keras")])
def test_a_damaged_version_is_not_loaded(repository: Repository, weights: Path, engine: str, file: str) -> None:
    version = repository.install("fake-net", weights=weights)
    path = version.file(file)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(Damaged, match=path.name):
        load_engine(version, engine=engine)


def test_every_lane_meets_every_size_before_the_first_job(version: ModelVersion) -> None:
    from worker.inference.engines.openvino import OpenVinoEngine, _Lane

    loaded = load_engine(version, threads=3)
    assert isinstance(loaded, OpenVinoEngine)
    met: list[tuple[_Lane, int]] = []
    real = _Lane.predict

    def noted(lane: _Lane, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        met.append((lane, len(batch)))
        return real(lane, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Lane, "predict", noted)
        loaded.warm_up([1, 2])
    assert len(met) == len(set(met)) == 6
    assert loaded._lanes.qsize() == 3


def test_openvino_pins_nothing_and_caches_nothing(version: ModelVersion) -> None:
    from worker.inference.engines.openvino import OpenVinoEngine

    loaded = load_engine(version, threads=1)
    assert isinstance(loaded, OpenVinoEngine)
    compiled = loaded._model
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert str(compiled.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


REPLACED = """
import gc, signal, sys, threading, time
from pathlib import Path
from worker.inference.engines import load_engine
from worker.inference.repository import Repository

engines = [load_engine(Repository(Path(sys.argv[1])).get("efficientnet-lite0"))]
engines[0].warm_up([1])

def replace():
    engines.clear()
    gc.collect()

thread = threading.Thread(target=replace)
thread.start()
thread.join()
signal.signal(signal.SIGALRM, lambda *_: print("alive"))
signal.alarm(1)
time.sleep(5)
"""


def test_a_signal_after_an_engine_was_replaced(version: ModelVersion, models: Repository) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", REPLACED, str(models.root)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr


def test_without_tensorflow_the_reference_engine_says_so(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _name: None)
    with pytest.raises(EngineError, match="needs the package tensorflow"):
        load_engine(version, engine="tensorflow")
