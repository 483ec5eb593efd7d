"""OpenVINO on the CPU. Never imports TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from worker.engines import EngineError
from worker.repository import ModelVersion


class OpenVinoEngine:
    """See `worker.engines.Engine`."""

    def __init__(self, version: ModelVersion, *, precision: str, threads: int) -> None:
        version.check("xml", "bin")
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EngineError("this machine's CPU has no bf16 arithmetic: use precision f32")
        self._size = version.manifest.preprocessing.size
        model = core.compile_model(version.file("xml"), "CPU", _options(precision, threads))
        # One request, used again for every batch, keeps its memory.
        self._request = model.create_infer_request()

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self._request.infer([batch], share_inputs=True)
        # A copy: the request's own memory holds the next batch's answer later.
        return np.array(self._request.get_output_tensor().data, np.float32)

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        for size in batch_sizes:
            self.predict(np.zeros((size, self._size, self._size, 3), np.float32))


def _options(precision: str, threads: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",  # one batch at a time, on all threads
        "INFERENCE_PRECISION_HINT": precision,
        # Several one-thread processes would pin themselves to the same core: 75 requests/s instead of 120.
        "ENABLE_CPU_PINNING": False,
        # Nothing on disk that the manifest does not know; compiling takes a fraction of a second.
        "CACHE_DIR": "",
    }
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return options
