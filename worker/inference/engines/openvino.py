"""OpenVINO on the CPU. Never imports TensorFlow."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from worker.inference.cores import usable_cores
from worker.inference.engines import EngineError
from worker.inference.repository import ModelVersion
from worker.inference.repository.manifest import Preprocessing


class OpenVinoEngine:
    """See `worker.inference.engines.Engine`.

    One stream for each core, each of one thread, instead of one stream on all cores: threads that share a small layer
    wait for each other at the end of it, and on a CPU a convolution gains next to nothing from a larger batch. The
    figures are in docs/performance.md.
    """

    part_size = 2

    def __init__(self, version: ModelVersion, *, precision: str, threads: int) -> None:
        version.check("xml", "bin")
        core = _core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EngineError("this machine's CPU has no bf16 arithmetic: use precision f32")
        rule = version.manifest.preprocessing
        self.lanes = threads = threads or usable_cores()
        self._size = rule.size
        model = _normalising(core.read_model(version.file("xml")), rule)
        self._model = core.compile_model(model, "CPU", _options(precision, threads))
        self._lanes: SimpleQueue[_Lane] = SimpleQueue()
        for _ in range(threads):
            self._lanes.put(_Lane(self._model, rule.size))

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        lane = self._lanes.get()
        try:
            return lane.predict(batch)
        finally:
            self._lanes.put(lane)

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        # All lanes at once: each stream prepares itself for a shape when it first meets it.
        lanes = [self._lanes.get() for _ in range(self.lanes)]
        try:
            with ThreadPoolExecutor(self.lanes) as threads:
                for size in batch_sizes:
                    pictures = np.zeros((size, self._size, self._size, 3), np.uint8)
                    together = threading.Barrier(self.lanes)
                    list(threads.map(lambda lane, batch=pictures, gate=together: lane.warm_up(batch, gate), lanes))
        finally:
            for lane in lanes:
                self._lanes.put(lane)


class _Lane:
    """A request to the compiled network, used again for every batch, so that it keeps its memory.

    All memory that it works on is OpenVINO's own, and pictures are copied into it. Where a request holds an array of
    NumPy's, letting go of that needs Python's lock; OpenVINO does so with a lock of its own in hand, and another thread
    that has Python's and wants that one waits for ever: one start in thirty did. Requests are made before any of them
    computes, for the same reason.
    """

    def __init__(self, model: Any, size: int) -> None:
        self._request = model.create_infer_request()
        self._size = size
        self._inputs: dict[int, Any] = {}

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        number = len(batch)
        tensor = self._inputs.get(number)
        if tensor is None:
            shape = openvino.Shape([number, self._size, self._size, 3])
            tensor = self._inputs[number] = openvino.Tensor(openvino.Type.u8, shape)
        tensor.data[:] = batch
        self._request.set_input_tensor(tensor)
        self._request.infer()
        # A copy: the request's own memory holds the next batch's answer later.
        return np.array(self._request.get_output_tensor().data, np.float32)

    def warm_up(self, batch: NDArray[np.uint8], together: threading.Barrier) -> None:
        together.wait()
        self.predict(batch)


@cache
def _core() -> Any:
    """The one of this process, never to be destroyed.

    Its CPU plugin gives the thread that first uses it another stack for signal handlers. It takes that stack away
    where it is destroyed: on another thread, the first one is left with memory that is gone, and the next signal ends
    the process. A model that is replaced is destroyed on whatever thread used it last.
    """
    return openvino.Core()


def _normalising(model: Any, rule: Preprocessing) -> Any:
    """The network behind a first layer that does what the manifest says: a quarter of the bytes go in, as uint8."""
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(list(rule.mean)).scale(list(rule.std))
    return steps.build()


def _options(precision: str, threads: int) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        # Several one-thread processes would pin themselves to the same core: 75 requests/s instead of 120.
        "ENABLE_CPU_PINNING": False,
        # Nothing on disk that the manifest does not know; compiling takes a fraction of a second.
        "CACHE_DIR": "",
    }
