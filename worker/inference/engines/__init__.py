"""Engines run a model version: pixels in, probabilities out.

`openvino` serves on a CPU. `tensorflow` is the reference that the others are tested against, and can use a GPU.

To add an engine:

1. Write a class that implements `Engine` in a module of this package, such as `openvino.py`. Its constructor takes
   `(version, *, precision, threads, features)`, the arguments of `load_engine`, and checks the files that it reads with
   `version.check`. Only this module may import the framework: it is imported when the engine is loaded.
2. Add a line with the name and the class to `ENGINES`, and to `NEEDED_FILES` if it reads an optional file.

`tests/test_engines.py` runs every engine of the table on real photos and compares it with `tensorflow`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from worker.inference.repository import ModelVersion

ENGINES = {
    "openvino": "worker.inference.engines.openvino:OpenVinoEngine",
    "tensorflow": "worker.inference.engines.tensorflow:TensorFlowEngine",
}
# The optional files (see `repository.manifest`) without which an engine cannot load a version.
NEEDED_FILES = {"tensorflow": frozenset({"keras"})}
PRECISIONS = ("f32", "bf16")


class EngineError(Exception):
    """The engine is unknown, or cannot do on this machine what is asked of it."""


class Engine(Protocol):
    """A loaded model version.

    Attributes:
        streams: how many threads may call `predict` at the same time and be served in parallel; at least 1.
            `Classifier` calls an engine of one stream from one thread only.
        micro_batch_size: the largest batch that `Classifier` gives to one call of `predict`; at least 1.
        backbone: the id of the backbone that the features come from (see `worker.inference.graph.head`), or "" without
            features.
    """

    streams: int
    micro_batch_size: int
    backbone: str

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Computes probabilities.

        Args:
            batch: uint8 (n, height, width, channels), values 0 to 255, C-contiguous, as `Preprocessor` makes them: in
                the manifest's channel order and not yet normalised. The engine normalises with the manifest's mean
                and standard deviation. n is at least 1 and may differ from call to call.

        Returns:
            float32 (n, classes), each row a softmax in the order of the version's labels. The array is the caller's:
            later calls do not change it.
        """

    def predict_with_features(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Computes the probabilities as `predict` does, and the features, float32 (n, size), or None without them."""

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        """Computes batches of these sizes in every stream, so that no later batch of such a size is slow."""


def engines_for(version: ModelVersion) -> list[str]:
    """Returns the engines that can load a version, as far as its manifest tells. Imports no framework."""
    present = set(version.manifest.files)
    return [engine for engine in ENGINES if NEEDED_FILES.get(engine, frozenset()) <= present]


def load_engine(
    version: ModelVersion,
    *,
    engine: str = "openvino",
    precision: str = "f32",
    threads: int = 0,
    features: bool = False,
) -> Engine:
    """Loads a model version.

    Args:
        engine: a key of `ENGINES`.
        precision: the arithmetic, one of `PRECISIONS`.
        threads: how many cores to use; 0 means all that this process may use.
        features: whether the engine also returns the features of the images, if it and the network have any.

    Raises:
        EngineError: the engine or the precision is unknown, or not available on this machine; or the version has no
            file that the engine can load.
        Damaged: a file of the version is missing or changed. It is not loaded.
    """
    if precision not in PRECISIONS:
        raise EngineError(f"precision {precision!r} is not available; available: {', '.join(PRECISIONS)}")
    if threads < 0:
        raise EngineError(f"{threads} is not a number of threads: use 0 or more")
    if engine not in ENGINES:
        raise EngineError(f"engine {engine!r} is not available; available: {', '.join(ENGINES)}")
    if engine not in (able := engines_for(version)):
        raise EngineError(f"{version} lacks a file that the {engine} engine needs: use the {' or '.join(able)} engine")
    try:
        factory = pkgutil.resolve_name(ENGINES[engine])
    except ModuleNotFoundError as error:
        raise EngineError(f"the engine {engine} needs the package {error.name}, which is not installed") from error
    loaded: Engine = factory(version, precision=precision, threads=threads, features=features)
    return loaded
