"""The head is found in every form of a network's end, and versions on one backbone share its id."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from worker.inference.graph.head import add_features, backbone_id, describe_features, find_head
from worker.inference.repository import ModelVersion, Preprocessing, Repository
from worker.inference.tests import networks_with_heads as networks
from worker.inference.tests.networks_with_heads import (
    CLASSES,
    FEATURES,
    SIDE,
    dense,
    feature_map,
    network,
    pooled,
    usual_network,
)

RULE = Preprocessing(SIDE, SIDE, "RGB", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))


def _images(number: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=(number, SIDE, SIDE, 3)).astype(np.float32)


def _run(model: openvino.Model, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result = compiled(images)
    return [np.array(result[number]) for number in range(len(model.outputs))]


def _features(model: openvino.Model) -> NDArray[np.float32]:
    head = find_head(model)
    assert head is not None
    add_features(model, head)
    probabilities, features = _run(model, _images())
    assert np.allclose(probabilities.sum(axis=1), 1)
    return features


def _id(model: openvino.Model, rule: Preprocessing = RULE) -> str:
    head = find_head(model)
    assert head is not None
    return backbone_id(model, head, rule)


def _expected() -> NDArray[np.float32]:
    """What the convolution computes, pooled."""
    image, planes = feature_map()
    (maps,) = _run(openvino.Model([planes], [image]), _images())
    average: NDArray[np.float32] = maps.mean(axis=(2, 3))
    return average


def _transposed_weights() -> openvino.Model:
    image, planes = feature_map()
    return network(image, ops.matmul(pooled(planes), networks.weights(CLASSES, FEATURES), False, True))


def _half_weights() -> openvino.Model:
    image, planes = feature_map()
    kernel = ops.convert(ops.constant(networks.weights(FEATURES, CLASSES).astype(np.float16)), "f32")
    return network(image, ops.matmul(pooled(planes), kernel, False, False))


def _convolution_as_head() -> openvino.Model:
    image, planes = feature_map()
    kernel = networks.weights(CLASSES, FEATURES, 1, 1)
    logits = ops.convolution(ops.reduce_mean(planes, [2, 3], keep_dims=True), kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    return network(image, ops.reshape(ops.transpose(logits, [0, 2, 3, 1]), [0, -1], special_zero=True))


def _window_pooling() -> openvino.Model:
    image, planes = feature_map()
    window = ops.avg_pool(planes, [1, 1], [0, 0], [0, 0], [SIDE, SIDE], exclude_pad=True)
    return network(image, dense(ops.squeeze(window, [2, 3])))


def _scaled_logits() -> openvino.Model:
    image, planes = feature_map()
    return network(image, ops.divide(dense(pooled(planes)), np.float32(2)))


def _rounded_inputs() -> openvino.Model:
    image, planes = feature_map()
    low, high = np.float32(0), np.float32(0.1)
    return network(image, dense(ops.fake_quantize(pooled(planes), low, high, low, high, 3)))


@pytest.mark.parametrize(
    "build",
    [
        usual_network,
        _transposed_weights,
        _half_weights,
        _convolution_as_head,
        _window_pooling,
        _scaled_logits,
        _rounded_inputs,
        lambda: networks.grouped(usual_network(), [0, 1, 1, 0]),
    ],
)
def test_finds_pooled_features(build: Any) -> None:
    model = build()
    head = find_head(model)
    assert head is not None
    assert (head.size, head.is_pooled) == (FEATURES, True)
    assert list(head.feature_map.get_partial_shape())[1].get_length() == FEATURES
    np.testing.assert_allclose(_features(model), _expected(), rtol=1e-5, atol=1e-6)


def test_finds_features_that_are_not_pooled() -> None:
    image, planes = feature_map()
    model = network(image, dense(ops.relu(dense(pooled(planes), outputs=5)), inputs=5))
    head = find_head(model)
    assert head is not None
    assert (head.size, head.is_pooled) == (5, False)
    assert _features(model).shape == (3, 5)


def _no_dense_layer() -> openvino.Model:
    image, planes = feature_map()
    return network(image, pooled(planes))


def _many_positions() -> openvino.Model:
    """The dense layer runs at each position, and its results are averaged."""
    image, planes = feature_map()
    kernel = networks.weights(CLASSES, FEATURES, 1, 1)
    return network(image, pooled(ops.convolution(planes, kernel, [1, 1], [0, 0], [0, 0], [1, 1])))


def _positions_as_classes() -> openvino.Model:
    image, planes = feature_map()
    flat = ops.reshape(planes, [0, FEATURES, SIDE * SIDE], special_zero=True)
    logits = ops.matmul(flat, networks.weights(SIDE * SIDE, 1), False, False)
    return network(image, ops.reshape(logits, [0, -1], special_zero=True))


def _attention() -> openvino.Model:
    image, planes = feature_map()
    vector = ops.unsqueeze(pooled(planes), [2])
    product = ops.matmul(vector, vector, False, True)
    return network(image, ops.reshape(product, [0, -1], special_zero=True))


def _unknown_shape() -> openvino.Model:
    image, planes = feature_map()
    shape = ops.parameter([-1], np.int64)
    values = ops.reduce_mean(ops.reshape(planes, shape, special_zero=False), [1])
    logits = ops.matmul(values, networks.weights(FEATURES, CLASSES), False, False)
    return openvino.Model([ops.softmax(logits, -1)], [image, shape])


@pytest.mark.parametrize("build", [_unknown_shape, _no_dense_layer, _many_positions, _positions_as_classes, _attention])
def test_finds_no_head(build: Any) -> None:
    assert find_head(build()) is None


def test_probabilities_stay_the_same_beside_the_features(models: Repository) -> None:
    path = models.get("efficientnet-lite0").file("xml")
    images = np.random.default_rng(3).normal(size=(2, 224, 224, 3)).astype(np.float32)
    alone, together = openvino.Core().read_model(path), openvino.Core().read_model(path)
    head = find_head(together)
    assert head is not None
    add_features(together, head)
    np.testing.assert_array_equal(_run(alone, images)[0], _run(together, images)[0])


def test_versions_on_one_backbone_share_its_id(tmp_path: Path) -> None:
    model = usual_network()
    for node in model.get_ops():
        node.set_friendly_name(f"renamed {node.get_friendly_name()}")
    openvino.save_model(model, tmp_path / "saved.xml", compress_to_fp16=False)
    saved = openvino.Core().read_model(tmp_path / "saved.xml")
    others = [saved, usual_network(head_seed=9), usual_network(classes=7), _transposed_weights(), _rounded_inputs()]
    others.append(networks.grouped(usual_network(), [0, 1, 1, 0]))
    assert {_id(other) for other in others} == {_id(usual_network())}


def test_another_backbone_has_another_id() -> None:
    image, planes = feature_map()
    maximum = network(image, dense(ops.reduce_max(planes, [2, 3])))
    one_bit = usual_network()
    kernel = next(node for node in one_bit.get_ordered_ops() if node.get_type_name() == "Convolution").input(1)
    changed = kernel.get_source_output().get_node().data.copy()
    changed.view(np.uint8)[-1, -1, -1, 0] ^= 1
    kernel.replace_source_output(ops.constant(changed).output(0))
    different = [
        _id(usual_network()),
        _id(usual_network(backbone_seed=9)),
        _id(usual_network(stride=2)),
        _id(maximum),
        _id(one_bit),
        _id(usual_network(), replace(RULE, channel_order="BGR")),
        _id(usual_network(), replace(RULE, mean=(0.0, 0.0, 0.0))),
    ]
    assert len(set(different)) == len(different)


def _described(model: openvino.Model, folder: Path) -> str:
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    version = SimpleNamespace(
        name="net", manifest=SimpleNamespace(base=""), check=lambda *_: None, file=lambda _: folder / "model.xml"
    )
    return describe_features(cast(ModelVersion, version))


def test_describes_features(models: Repository, tmp_path: Path) -> None:
    version = models.get("efficientnet-lite0")
    assert describe_features(version) == "1,280 features from the pooling layer of efficientnet-lite0"
    image, planes = feature_map()
    hidden = network(image, dense(ops.relu(dense(pooled(planes), outputs=5)), inputs=5))
    assert _described(hidden, tmp_path) == "5 features from the second-to-last layer of net"
    image, planes = feature_map()
    wide = network(image, dense(ops.relu(dense(pooled(planes), outputs=5000)), inputs=5000))
    assert _described(wide, tmp_path) == "none: its last layer reads 5,000 values, more than 4,096"
    assert _described(_no_dense_layer(), tmp_path) == "none: the network has no dense layer at its end"
