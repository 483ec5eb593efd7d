"""Small networks in OpenVINO's format, with random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

FEATURES, CLASSES, SIDE = 6, 4, 8


def weights(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def feature_map(*, seed: int = 0, stride: int = 1) -> tuple[Any, Any]:
    """The input (n, `SIDE`, `SIDE`, 3), and a convolution of it: (n, `FEATURES`, height, width)."""
    image = ops.parameter([-1, SIDE, SIDE, 3], np.float32)
    planes = ops.transpose(image, [0, 3, 1, 2])
    kernel = weights(FEATURES, 3, 3, 3, seed=seed)
    return image, ops.relu(ops.convolution(planes, kernel, [stride] * 2, [1, 1], [1, 1], [1, 1]))


def pooled(planes: Any) -> Any:
    return ops.reduce_mean(planes, [2, 3])


def dense(values: Any, inputs: int = FEATURES, outputs: int = CLASSES, *, seed: int = 1) -> Any:
    product = ops.matmul(values, weights(inputs, outputs, seed=seed), transpose_a=False, transpose_b=False)
    return ops.add(product, weights(outputs, seed=seed))


def network(image: Any, logits: Any, *, axis: int = 1) -> openvino.Model:
    return openvino.Model([ops.softmax(logits, axis)], [image])


def usual_network(
    *, backbone_seed: int = 0, stride: int = 1, head_seed: int = 1, classes: int = CLASSES
) -> openvino.Model:
    """Convolution, global pooling, dense layer, Softmax."""
    image, planes = feature_map(seed=backbone_seed, stride=stride)
    return network(image, dense(pooled(planes), outputs=classes, seed=head_seed))


def grouped(model: openvino.Model, groups: list[int], classes: int = CLASSES) -> openvino.Model:
    """The network with another output: the sum of the probabilities of each group of classes."""
    union = np.zeros((classes, max(groups) + 1), np.float32)
    union[np.arange(classes), groups] = 1
    probabilities = model.get_results()[0].input_value(0)
    return openvino.Model([ops.matmul(probabilities, union, False, False)], model.get_parameters())
