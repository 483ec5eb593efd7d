"""Makes a network compute in int8, by OpenVINO alone.

OpenVINO has no quantiser, but computes a layer in int8 if its inputs and weights are rounded to 256 levels. So this
module adds `FakeQuantize` nodes to the inputs of convolutions, dense layers and residual additions, with the ranges
that these inputs have on real images, and rounds the weights of each output channel to 255 levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as ops

from worker.inference.graph.grouping import is_grouping

ACTIVATION_LEVELS = 256
WEIGHT_LIMIT = 127  # weights are -127 to 127: 255 levels, symmetric

_OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False, "CACHE_DIR": ""}


class CannotQuantize(ValueError):
    """The network cannot be quantised; the message says why."""


@dataclass(frozen=True)
class _Point:
    """A value that is rounded, and the inputs that take it."""

    value: Any
    inputs: Sequence[Any]


def quantized(model: openvino.Model, images: Iterable[NDArray[np.float32]]) -> openvino.Model:
    """Returns an int8 copy of a network.

    The last dense layer stays in f32. It takes a hundredth of the time, and others read the features in front of it.

    Args:
        model: a network in canonical form.
        images: normalised images, each of shape (height, width, channels). The ranges of all values are those that
            occur on them.

    Raises:
        CannotQuantize: the network has nothing to quantise or is quantised already, or a value of it is not finite.
    """
    if any(node.get_type_name() == "FakeQuantize" for node in model.get_ops()):
        raise CannotQuantize("the network is quantised already")
    ranges = _ranges(model, images)
    result = model.clone()
    for point, (low, high) in zip(_points(result), ranges, strict=True):
        _round_activation(point, low, high)
    for layer in _layers(result):
        _round_weights(layer)
    result.validate_nodes_and_infer_types()
    return result


def saturates(core: openvino.Core) -> bool:
    """Whether this processor adds int8 products with saturation, so that quantised networks answer wrongly.

    Computes one convolution whose products are as large as they can be. Processors without VNNI or AMX add them in
    pairs in 16 bits, where the sum of two such products does not fit.
    """
    channels = 16
    image = ops.parameter([1, channels, 4, 4], np.float32)
    levels = [ops.constant(np.float32(value)) for value in (0, 255, 0, 255)]
    pixels = ops.fake_quantize(image, *levels, ACTIVATION_LEVELS)
    weights = _rounded_weights(np.full((channels, channels, 1, 1), WEIGHT_LIMIT, np.float32), (1, 2, 3))
    sums = ops.convolution(pixels, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    compiled = core.compile_model(openvino.Model([sums.output(0)], [image]), "CPU", _OPTIONS)
    answer = compiled(np.full((1, channels, 4, 4), 255, np.float32))[0]
    expected = 255 * WEIGHT_LIMIT * channels
    return not np.allclose(answer, expected, rtol=0.01)


def _layers(model: openvino.Model) -> list[Any]:
    """The convolutions and dense layers with constant weights, except the last ones: no other follows them."""
    found = []
    leads_to_layer: set[str] = set()
    for node in reversed(model.get_ordered_ops()):
        name = node.get_friendly_name()
        is_layer = not is_grouping(node) and _weights(node) is not None
        if is_layer and name in leads_to_layer:
            found.append(node)
        if is_layer or name in leads_to_layer:
            leads_to_layer.update(value.get_node().get_friendly_name() for value in node.input_values())
    return found[::-1]


def _weights(node: Any) -> NDArray[np.float32] | None:
    """The weights of a convolution or a dense layer; None if it has none, or they are not constant."""
    if node.get_type_name() not in {"Convolution", "GroupConvolution", "MatMul"}:
        return None
    weights = node.input_value(1).get_node()
    if weights.get_type_name() == "Convert":  # files of other sites may hold weights in f16
        weights = weights.input_value(0).get_node()
    if weights.get_type_name() != "Constant" or len(weights.shape) < 2:
        return None
    return np.asarray(weights.get_data(), np.float32)


def _points(model: openvino.Model) -> list[_Point]:
    """The inputs of layers and residual additions, in the order of the graph. A value of several is one point."""
    inputs = [layer.input(0) for layer in _layers(model)]
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Add" and not any(_is_constant(value) for value in node.input_values()):
            inputs += node.inputs()
    found: dict[tuple[str, int], list[Any]] = {}
    for one in inputs:
        value = one.get_source_output()
        found.setdefault((value.get_node().get_friendly_name(), value.get_index()), []).append(one)
    return [_Point(takers[0].get_source_output(), takers) for takers in found.values()]


def _is_constant(value: Any) -> bool:
    return bool(value.get_node().get_type_name() == "Constant")


def _ranges(model: openvino.Model, images: Iterable[NDArray[np.float32]]) -> list[tuple[float, float]]:
    """The smallest and the largest number of each point on these images."""
    observed = model.clone()
    outputs = []
    for point in _points(observed):
        axes = ops.constant(np.arange(len(point.value.get_partial_shape()), dtype=np.int64))
        outputs += [ops.reduce_min(point.value, axes).output(0), ops.reduce_max(point.value, axes).output(0)]
    if not outputs:
        raise CannotQuantize("the network has no layers that can compute in int8")
    network = openvino.Core().compile_model(openvino.Model(outputs, observed.get_parameters()), "CPU", _OPTIONS)
    lows, highs = np.full(len(outputs) // 2, np.inf), np.full(len(outputs) // 2, -np.inf)
    for image in images:
        values = list(network(image[None]).to_tuple())
        lows = np.minimum(lows, np.array(values[0::2], np.float64))
        highs = np.maximum(highs, np.array(values[1::2], np.float64))
    if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
        raise CannotQuantize("a value inside the network is not finite on these images, or there are no images")
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def _round_activation(point: _Point, low: float, high: float) -> None:
    """Rounds a value to 256 levels from `low` to `high`, of which one is exactly zero: padding must stay zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (ACTIVATION_LEVELS - 1)
    if step == 0:
        return
    below = round(-low / step)
    limits = [ops.constant(np.float32(number * step)) for number in (-below, ACTIVATION_LEVELS - 1 - below)]
    rounded = ops.fake_quantize(point.value, *limits, *limits, ACTIVATION_LEVELS).output(0)
    for one in point.inputs:
        one.replace_source_output(rounded)


def _round_weights(layer: Any) -> None:
    weights = _weights(layer)
    assert weights is not None  # noqa: S101 - `_layers` returns no others
    if layer.get_type_name() == "MatMul":
        outputs = {weights.ndim - (2 if layer.get_attributes()["transpose_b"] else 1)}
    else:
        outputs = {0, 1} if layer.get_type_name() == "GroupConvolution" else {0}
    axes = tuple(axis for axis in range(weights.ndim) if axis not in outputs)
    layer.input(1).replace_source_output(_rounded_weights(weights, axes).output(0))


def _rounded_weights(weights: NDArray[np.float32], axes: tuple[int, ...]) -> Any:
    """A node of int8 weights with a scale for each output channel, computed over the other `axes`."""
    largest = np.abs(weights).max(axis=axes, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / WEIGHT_LIMIT).astype(np.float32)
    integers = ops.constant(np.rint(weights / scale).astype(np.int8))
    return ops.multiply(ops.convert(integers, "f32"), ops.constant(scale))
