"""TensorFlow: the reference that every other engine must agree with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engines import EngineError
from worker.keras_runtime import keras
from worker.keras_runtime import tensorflow as tf
from worker.repository import ModelVersion


class TensorFlowEngine:
    """See `worker.engines.Engine`. Not fork-safe: load it in the process that uses it."""

    def __init__(self, version: ModelVersion, *, precision: str, threads: int) -> None:
        if precision != "f32":
            raise EngineError("the tensorflow engine computes in f32 only: use the openvino engine for bf16")
        if threads:
            _limit(threads)
        version.check("keras")
        network = keras.saving.load_model(version.file("keras"), compile=False, safe_mode=True)
        self._size = version.manifest.preprocessing.size
        # One signature with a free batch dimension: traced once, here, and never again.
        signature = tf.TensorSpec((None, self._size, self._size, 3), tf.float32)
        self._forward: Any = tf.function(
            lambda batch: network(batch, training=False), input_signature=[signature], jit_compile=False
        ).get_concrete_function()

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = self._forward(tf.constant(batch)).numpy()
        return result

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        for size in batch_sizes:
            self.predict(np.zeros((size, self._size, self._size, 3), np.float32))


def _limit(threads: int) -> None:
    """Compute with so many threads; TensorFlow lets a process choose once, before it computes."""
    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise EngineError("TensorFlow runs already in this process, with another number of threads") from error
