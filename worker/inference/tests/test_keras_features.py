"""The features of networks of `keras.applications` are the inputs of their last layers, as Keras computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from worker.inference.graph.head import add_features, find_head
from worker.inference.keras_runtime import keras
from worker.inference.repository.build import write_openvino

pytestmark = pytest.mark.processes  # Keras builds whole networks: seconds each


# A dense layer, a convolution on pooled features, and one on features that are not the pooled ones.
@pytest.mark.parametrize(
    ("function", "size", "is_pooled"),
    [("MobileNetV2", 1280, True), ("MobileNet", 1024, True), ("MobileNetV3Small", 1024, False)],
)
def test_features_are_those_of_keras(tmp_path: Path, function: str, size: int, is_pooled: bool) -> None:
    keras.utils.set_random_seed(0)
    side = 64  # small pictures: the head is the same
    network = getattr(keras.applications, function)(weights=None, classes=10, input_shape=(side, side, 3))
    write_openvino(network, tmp_path / "model.xml")
    model = openvino.Core().read_model(tmp_path / "model.xml")
    head = find_head(model)
    assert head is not None
    assert (head.size, head.is_pooled) == (size, is_pooled)
    add_features(model, head)

    batch = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    last = [layer for layer in network.layers if layer.weights][-1]
    expected, probabilities = (
        np.asarray(output) for output in keras.Model(network.input, [last.input, network.output])(batch)
    )
    compiled: Any = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = compiled(batch)
    np.testing.assert_allclose(result[0], probabilities, atol=1e-4)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result[1] / scale, expected.reshape(2, size) / scale, atol=1e-4)
