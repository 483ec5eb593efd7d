"""Writes networks to files, and notices files that were cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from worker.inference.graph.errors import reason
from worker.inference.repository.errors import RepositoryError

_TOLERANCE = 1e-4  # between the network in memory and the one in the files


class NotSaved(RepositoryError):
    """The network could not be written. The message says why."""


def save_network(model: openvino.Model, xml: Path, probe: NDArray[np.float32]) -> None:
    """Writes a network, and reads it again: a full disk can cut the files off without an error.

    Args:
        model: a network in canonical form.
        xml: the file of the graph. The weights are written beside it.
        probe: what the network takes for one image or more. Both networks have to answer it in the same way.

    Raises:
        NotSaved: the files cannot be written or read, or give other answers.
    """
    try:
        expected = _answers(model, probe)
    except RuntimeError as error:
        raise NotSaved(f"the network cannot be run: {reason(error)}") from error
    try:
        openvino.save_model(model, xml, compress_to_fp16=False)
        written = _answers(openvino.Core().read_model(xml), probe)
    except RuntimeError as error:
        raise NotSaved(f"the network cannot be written: {reason(error)}; is the disk full?") from error
    if not np.allclose(written, expected, rtol=0, atol=_TOLERANCE, equal_nan=True):
        raise NotSaved("the network cannot be written: its files give other answers; is the disk full?")


def noise(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Random numbers in the range of normalised pixels, for one image of this shape. They are always the same."""
    return np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)


def _answers(model: openvino.Model, probe: NDArray[np.float32]) -> NDArray[np.float32]:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(probe)[0])
