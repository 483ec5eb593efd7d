"""The reference engine, TensorFlow: every other engine must agree with it. Uses a GPU if there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.inference.cores import scheduled_cores, usable_cores
from worker.inference.engines import EngineError
from worker.inference.keras_runtime import keras
from worker.inference.keras_runtime import tensorflow as tf
from worker.inference.repository import ModelVersion

# On a CPU larger batches have no higher throughput, but take longer to warm up and delay their first answers.
CPU_MICRO_BATCH_SIZE = 8
GPU_MICRO_BATCH_SIZE = 1024


class TensorFlowEngine:
    """Implements `worker.inference.engines.Engine`. Not fork-safe: load it in the process that uses it.

    Raises:
        EngineError: the precision is not f32, or TensorFlow already runs with another number of threads.
        Damaged: a file of the version is missing or changed.
    """

    streams = 1
    backbone = ""  # it has no features

    def __init__(self, version: ModelVersion, *, precision: str, threads: int, features: bool) -> None:
        if precision != "f32":
            raise EngineError("the tensorflow engine computes in f32 only; use the openvino engine for bf16")
        _set_threads(threads)
        _set_up_gpus()
        version.check("keras")
        network = keras.saving.load_model(version.file("keras"), compile=False, safe_mode=True)
        rule = version.manifest.preprocessing
        self.micro_batch_size = GPU_MICRO_BATCH_SIZE if tf.config.list_physical_devices("GPU") else CPU_MICRO_BATCH_SIZE
        self._shape = rule.shape
        mean, std = tf.constant(rule.mean, tf.float32), tf.constant(rule.std, tf.float32)
        # The batch dimension is free, so that TensorFlow traces the network only once, here.
        signature = tf.TensorSpec((None, *self._shape), tf.uint8)
        self._forward: Any = tf.function(
            lambda batch: network((tf.cast(batch, tf.float32) - mean) / std, training=False),
            input_signature=[signature],
            jit_compile=False,
        ).get_concrete_function()

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = self._forward(tf.constant(batch)).numpy()
        return result

    def predict_with_features(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], None]:
        return self.predict(batch), None

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        for size in batch_sizes:
            self.predict(np.zeros((size, *self._shape), np.uint8))


def _set_threads(threads: int) -> None:
    """Sets the number of threads, which TensorFlow accepts only before its first computation in a process."""
    threads = threads or usable_cores()
    chosen = tf.config.threading.get_intra_op_parallelism_threads() or scheduled_cores()  # 0: TensorFlow's own choice
    if chosen == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise EngineError("TensorFlow already runs in this process with another number of threads") from error


def _set_up_gpus() -> None:
    """Makes GPUs compute in f32, and lets several processes share their memory.

    By default, TensorFlow multiplies with the 10 bits of TF32, which changed probabilities by up to 0.003, and takes
    all memory of a GPU at once.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            return  # the process has computed on it already
