"""What runs a model version: a batch of pictures to a batch of probabilities.

`openvino` (compiled, for the CPU) is what serves; `tensorflow` is the reference, and runs on a GPU.
Each engine imports its framework only when it is loaded, and never the other's.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from worker.inference.repository import ModelVersion

ENGINES = ("openvino", "tensorflow")
PRECISIONS = ("f32", "bf16")


class EngineError(Exception):
    """The engine asked for is unknown, or cannot do what is asked of it on this machine."""


class Engine(Protocol):
    """A loaded model version.

    `lanes`: how many calls of `predict`, each with a part of a batch, it works on at a time; further ones wait.
    `part_size`: the largest part that is worth giving to one call.
    """

    lanes: int
    part_size: int

    def predict(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (n, classes) for pictures (n, height, width, 3), as `Preprocessor` makes them.

        Normalises first, as the manifest says. n may differ from call to call.
        """

    def warm_up(self, batch_sizes: Iterable[int]) -> None:
        """Make the first real batch of each of these sizes as fast as the later ones, in every lane."""


def load_engine(version: ModelVersion, *, engine: str = "openvino", precision: str = "f32", threads: int = 0) -> Engine:
    """Load a model version. `threads`: how many cores to use; 0 means all that this process may use.

    Raises:
        EngineError: no such engine or precision, or this machine or engine cannot do the latter.
        Damaged: a file of the version is not the one that was installed. It is not loaded.
    """
    if precision not in PRECISIONS:
        raise EngineError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    if threads < 0:
        raise EngineError(f"{threads} is not a number of threads: give 0 or more")
    if engine == "openvino":
        from worker.inference.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(version, precision=precision, threads=threads)
    if engine == "tensorflow":
        if find_spec("tensorflow") is None:
            raise EngineError("the engine tensorflow needs the package tensorflow, which is not installed here")
        from worker.inference.engines.tensorflow import TensorFlowEngine

        return TensorFlowEngine(version, precision=precision, threads=threads)
    raise EngineError(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
