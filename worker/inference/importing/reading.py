"""Reads networks with the libraries of their formats. Damaged files can crash these; see `process`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.inference.graph.errors import reason
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.keras_files import check_keras_file

_TOLERANCE = 1e-3  # between Keras and OpenVINO


def read_model(path: Path) -> Any:
    """Reads a network as an `openvino.Model`, by OpenVINO alone.

    Raises:
        ImportRefused: it cannot be read; the message says why.
    """
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        raise ImportRefused(f"{path.name} cannot be read: {reason(error)}") from error


def read_keras(path: Path, folder: Path, *, trust: bool) -> tuple[Any, Path | None]:
    """Reads a Keras file as an `openvino.Model`, and writes it in Keras' current format if it has no code in it.

    Args:
        folder: for the files that are written, of which the model needs some.

    Raises:
        ImportRefused: it cannot be read; the message says why.
    """
    check_keras_file(path, trust=trust)
    try:
        from worker.inference.keras_runtime import keras
    except ModuleNotFoundError as error:
        raise ImportRefused(
            f"reading {path.name} needs the package {error.name}, which is not installed: use an image or an"
            " environment that has it, or export the network as ONNX"
        ) from error
    network = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    saved = folder / "saved"
    network.export(saved, format="tf_saved_model", verbose=False)
    model = read_model(saved)
    _check_agreement(network, model)
    if trust:  # a model with code in it could not be loaded again
        return model, None
    network.save(folder / "model.keras")
    return model, folder / "model.keras"


def _check_agreement(network: Any, model: Any) -> None:
    """Compares Keras' and OpenVINO's outputs on random noise, if the network has one input of a fixed size."""
    import numpy as np
    import openvino

    shapes = [tuple(tensor.shape[1:]) for tensor in network.inputs]
    if len(shapes) != 1 or None in shapes[0] or len(network.outputs) != 1:
        return
    noise = np.random.default_rng(0).uniform(-1, 1, (2, *shapes[0])).astype(np.float32)
    expected = np.asarray(network(noise, training=False))
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    largest = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(compiled(noise)[0] - expected).max()) / largest
    if difference > _TOLERANCE:  # not finite outputs are reported later, with a better message
        raise ImportRefused(f"OpenVINO and TensorFlow disagree on this network by {difference:.2g}")
