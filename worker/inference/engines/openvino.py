"""The engine for CPUs: OpenVINO with one thread per stream. Does not import TensorFlow."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from worker.inference.cores import usable_cores
from worker.inference.engines import EngineError
from worker.inference.graph.head import add_features, backbone_id, find_head
from worker.inference.graph.quantization import saturates
from worker.inference.repository import ModelVersion
from worker.inference.repository.manifest import Preprocessing


class OpenVinoEngine:
    """Implements `worker.inference.engines.Engine`.

    There is one stream of one thread for each core, instead of one stream on all cores: threads that share a small
    layer wait for each other at its end, and on a CPU a convolution gains almost nothing from a larger batch.
    docs/performance.md has the measurements.

    Raises:
        EngineError: OpenVINO does not compute in this precision on this machine, or does not do so correctly.
        Damaged: a file of the version is missing or changed.
    """

    micro_batch_size = 2

    def __init__(self, version: ModelVersion, *, precision: str, threads: int, features: bool) -> None:
        version.check("xml", "bin")
        core = _core()
        if version.manifest.precision == "int8" and saturates(core):
            raise EngineError(f"this processor would answer wrongly in int8: use {_in_f32(version)} instead")
        rule = version.manifest.preprocessing
        self.streams = threads = threads or usable_cores()
        self._shape = rule.shape
        model = core.read_model(version.file("xml"))
        self.backbone = _with_features(model, rule) if features else ""
        model = _with_normalisation(model, rule)
        self._model = core.compile_model(model, "CPU", _options(precision, threads))
        if precision == "bf16" and not _computes_in_bf16(self._model):
            raise EngineError("OpenVINO computes in f32 on this machine, although bf16 was asked for")
        self._idle: SimpleQueue[_InferRequest] = SimpleQueue()
        for _ in range(threads):
            self._idle.put(_InferRequest(self._model, rule.shape))

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.predict_with_features(batch)[0]

    def predict_with_features(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        request = self._idle.get()
        try:
            outputs = request.predict(batch)
            return outputs[0], outputs[-1] if self.backbone else None
        finally:
            self._idle.put(request)

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        # Takes all requests at once, so that every stream computes: each prepares itself for a shape when it first
        # computes that shape.
        requests = [self._idle.get() for _ in range(self.streams)]
        try:
            with ThreadPoolExecutor(self.streams) as threads:
                for size in batch_sizes:
                    batch = np.zeros((size, *self._shape), np.uint8)
                    barrier = threading.Barrier(self.streams)
                    list(threads.map(_InferRequest.warm_up, requests, repeat(batch), repeat(barrier)))
        finally:
            for request in requests:
                self._idle.put(request)


def _in_f32(version: ModelVersion) -> str:
    """The version that an int8 version was made from. It may be unknown, or not installed any more."""
    name, _, number = version.manifest.base.partition("@")
    is_installed = bool(number) and (version.path.parents[1] / name / number).is_dir()
    return version.manifest.base if is_installed else "a version in f32"


class _InferRequest:
    """An inference request of the compiled network, reused for every batch so that its memory is allocated once.

    The request works only on memory that OpenVINO allocated; pixels are copied into it. A request that holds a NumPy
    array can deadlock: OpenVINO releases the array while it holds an internal lock, and needs the GIL for that, while
    another thread holds the GIL and waits for the internal lock: one start in thirty hung. For the same
    reason all requests are created before the first one computes.
    """

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        self._request = model.create_infer_request()
        self._shape = shape
        self._inputs: dict[int, Any] = {}

    def predict(self, batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        number = len(batch)
        tensor = self._inputs.get(number)
        if tensor is None:
            shape = openvino.Shape([number, *self._shape])
            tensor = self._inputs[number] = openvino.Tensor(openvino.Type.u8, shape)
        tensor.data[:] = batch
        self._request.set_input_tensor(tensor)
        self._request.infer()
        # Copies, because the next batch overwrites the request's memory.
        return [np.array(tensor.data, np.float32) for tensor in self._request.output_tensors]

    def warm_up(self, batch: NDArray[np.uint8], barrier: threading.Barrier) -> None:
        barrier.wait()
        self.predict(batch)


@cache
def _core() -> Any:
    """The process's only OpenVINO core, which is never destroyed.

    Its CPU plugin installs an alternative stack for signal handlers on the thread that uses it first, and frees that
    stack when it is destroyed. If another thread destroys it, the first thread's next signal handler runs on freed
    memory and the process dies. A replaced model is destroyed on the thread that used it last, which can be any.
    """
    return openvino.Core()


def _with_features(model: Any, rule: Preprocessing) -> str:
    """Adds the features as a second output. Returns the id of the backbone, or "" if the network has none."""
    head = find_head(model)
    if head is None or not head.is_storable:
        return ""
    add_features(model, head)
    return backbone_id(model, head, rule)


def _with_normalisation(model: Any, rule: Preprocessing) -> Any:
    """Prepends the manifest's normalisation, so that the input is uint8: a quarter of the bytes of float32."""
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(list(rule.mean)).scale(list(rule.std))
    return steps.build()


def _computes_in_bf16(model: Any) -> bool:
    """Whether any layer of the compiled network computes in bf16, which OpenVINO takes as a hint only.

    This does not say whether bf16 is fast here: see `worker.inference.precision`.
    """
    layers = model.get_runtime_model().get_ops()
    return any(layer.get_rt_info()["runtimePrecision"].value == "bf16" for layer in layers)


def _options(precision: str, threads: int) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        # Pinned, several processes of one thread would share one core: 75 requests/s instead of 120.
        "ENABLE_CPU_PINNING": False,
        # No files outside the manifest: compiling takes only a fraction of a second.
        "CACHE_DIR": "",
    }
