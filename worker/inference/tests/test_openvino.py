"""What only the OpenVINO engine does: streams, threads, and its one core object."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.inference.engines import load_engine
from worker.inference.engines.openvino import OpenVinoEngine, _InferRequest
from worker.inference.repository import ModelVersion, Repository


@pytest.fixture(scope="module")
def version(models: Repository) -> ModelVersion:
    return models.get("efficientnet-lite0")


def test_warm_up_computes_every_size_in_every_stream(version: ModelVersion) -> None:
    loaded = load_engine(version, threads=3)
    assert isinstance(loaded, OpenVinoEngine)
    calls: list[tuple[_InferRequest, int]] = []
    real = _InferRequest.predict

    def recorded(request: _InferRequest, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        calls.append((request, len(batch)))
        return real(request, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_InferRequest, "predict", recorded)
        loaded.warm_up([1, 2])
    assert len(calls) == len(set(calls)) == 6
    assert loaded._idle.qsize() == 3


def test_computes_in_f32_without_pinning_threads(version: ModelVersion) -> None:
    loaded = load_engine(version, threads=1)
    assert isinstance(loaded, OpenVinoEngine)
    compiled = loaded._model
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert str(compiled.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"


REPLACE_ENGINE = """
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


def test_process_survives_signal_after_another_thread_destroyed_an_engine(
    version: ModelVersion, models: Repository
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", REPLACE_ENGINE, str(models.root)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr
