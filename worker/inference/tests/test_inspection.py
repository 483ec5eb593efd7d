"""What a network takes and returns is found out from its graph and from its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from worker.inference.graph.canonical import last_operation
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.inspection import Choices, canonical_network, find_image, outputs_of

SIZE = 8
PIXELS = np.random.default_rng(0).uniform(-1, 1, (4, SIZE, SIZE, 3)).astype(np.float32)


def _logits(value: Any, classes: int = 3, axes: tuple[int, ...] = (1, 2), channels: int = 3) -> Any:
    """A dense layer on the mean of each channel."""
    mean = ops.reduce_mean(value, np.array(axes, np.int64), keep_dims=False)
    return ops.matmul(mean, np.random.default_rng(1).normal(size=(channels, classes)).astype(np.float32), False, False)


def _model(shape: list[int], head, *, classes: int = 3, kind: Any = np.float32) -> openvino.Model:
    """A network with the input `pixels` whose output is `head(logits)`."""
    pixels = ops.parameter(shape, kind, name="pixels")
    pixels.output(0).get_tensor().set_names({"pixels"})
    is_nchw = shape[1] in (1, 3)
    value = ops.convert(pixels, "f32") if kind != np.float32 else pixels
    output = head(_logits(value, classes, (2, 3) if is_nchw else (1, 2), shape[1] if is_nchw else shape[3]))
    return openvino.Model([ops.result(output)], [pixels], "test")


def _import(model: openvino.Model, **choices):
    chosen = Choices(**choices)
    image = find_image(model, chosen)
    return image, *canonical_network(model, image, chosen, PIXELS[..., : image.channels])


def _softmax(value: Any) -> Any:
    return ops.softmax(value, 1)


def _divided(value: Any) -> Any:
    exponents = ops.exp(value)
    return ops.divide(exponents, ops.reduce_sum(exponents, np.array([1]), keep_dims=True))


def _stacked(value: Any) -> Any:
    """Probabilities of yes and no, as of a sigmoid for one label."""
    yes = ops.sigmoid(ops.reduce_sum(value, np.array([1]), keep_dims=True))
    return ops.concat([yes, ops.subtract(np.float32(1), yes)], 1)


@pytest.mark.parametrize(
    ("head", "kind", "operation"),
    [
        (_softmax, "probabilities", "Softmax"),
        (_divided, "probabilities", "Divide"),
        (_stacked, "probabilities", "Concat"),
        (lambda value: value, "logits", "MatMul"),
        (lambda value: ops.log_softmax(value, 1), "logits", "LogSoftmax"),
        (lambda value: ops.unsqueeze(ops.unsqueeze(value, np.array(2)), np.array(3)), "logits", "MatMul"),
        (lambda value: ops.unsqueeze(_softmax(value), np.array(1)), "probabilities", "Softmax"),
    ],
)
def test_tells_logits_from_probabilities(head, kind: str, operation: str) -> None:
    source = _model([-1, SIZE, SIZE, 3], head)
    assert last_operation(source) == operation
    _, model, answer = _import(source)
    outputs = outputs_of(model, PIXELS)
    assert answer.kind == kind
    assert outputs.dtype == np.float32
    assert outputs.shape == (4, answer.classes)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_log_probabilities_become_the_same_probabilities() -> None:
    models = [_import(_model([-1, SIZE, SIZE, 3], head))[1] for head in (_softmax, lambda v: ops.log_softmax(v, 1))]
    np.testing.assert_allclose(outputs_of(models[0], PIXELS), outputs_of(models[1], PIXELS), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "layout", "channels"),
    [
        ([-1, SIZE, SIZE, 3], "NHWC", 3),
        ([1, 3, SIZE, SIZE], "NCHW", 3),
        ([-1, SIZE, SIZE, 1], "NHWC", 1),
        ([-1, 1, SIZE, SIZE], "NCHW", 1),
    ],
)
def test_finds_layout_and_channels(shape: list[int], layout: str, channels: int) -> None:
    image, model, _ = _import(_model(shape, _softmax))
    assert (image.name, image.layout, image.width, image.height, image.channels) == (
        "pixels",
        layout,
        SIZE,
        SIZE,
        channels,
    )
    assert str(model.input().partial_shape) == f"[?,{SIZE},{SIZE},{channels}]"


def test_width_and_height_are_not_confused() -> None:
    image = find_image(_model([-1, 3, 4, 6], _softmax), Choices())
    assert (image.width, image.height) == (6, 4)


def test_free_size_needs_a_choice() -> None:
    model = _model([-1, -1, -1, 3], _softmax)
    with pytest.raises(ImportRefused, match="takes images of any size; pass --size"):
        find_image(model, Choices())
    assert find_image(model, Choices(), (6, 4)).width == 6  # from a file of preprocessing
    image, network, _ = _import(model, size=(SIZE, SIZE))
    assert (image.width, image.height) == (SIZE, SIZE)
    assert outputs_of(network, PIXELS).shape == (4, 3)


def test_takes_uint8_pixels() -> None:
    image, model, _ = _import(_model([-1, SIZE, SIZE, 3], _softmax, kind=np.uint8))
    assert image.is_8_bit
    assert model.input().element_type == openvino.Type.f32


def test_refuses_pixels_of_other_whole_numbers() -> None:
    with pytest.raises(ImportRefused, match="takes numbers of type i64, not pixels"):
        _import(_model([-1, SIZE, SIZE, 3], _softmax, kind=np.int64))


@pytest.mark.parametrize("target", [[1, -1], [1, 48]])
def test_frees_the_number_of_pictures(target: list[int]) -> None:
    """An export for one picture writes that 1 into the target shapes of its graph."""
    pixels = ops.parameter([1, 4, 4, 3], np.float32, name="pixels")
    flat = ops.reshape(pixels, np.array(target), False)
    weights = np.random.default_rng(2).normal(size=(48, 3)).astype(np.float32)
    model = openvino.Model([ops.result(_softmax(ops.matmul(flat, weights, False, False)))], [pixels], "fixed")
    image = find_image(model, Choices())
    network, _ = canonical_network(model, image, Choices(), PIXELS[:, :4, :4])
    expected = PIXELS[:, :4, :4].reshape(4, 48) @ weights
    expected = np.exp(expected - expected.max(axis=1, keepdims=True))
    np.testing.assert_allclose(outputs_of(network, PIXELS[:, :4, :4]), expected / expected.sum(1)[:, None], atol=1e-5)


def _two_outputs() -> openvino.Model:
    pixels = ops.parameter([-1, SIZE, SIZE, 3], np.float32, name="pixels")
    results = []
    for name, classes in (("first", 3), ("second", 5)):
        output = _softmax(_logits(pixels, classes))
        output.output(0).get_tensor().set_names({name})
        results.append(ops.result(output))
    return openvino.Model(results, [pixels], "two")


def test_one_of_several_outputs_must_be_chosen() -> None:
    with pytest.raises(ImportRefused, match=r"2 outputs: 'first' \(\?, 3\), 'second' \(\?, 5\); choose one with --out"):
        _import(_two_outputs())
    _, model, answer = _import(_two_outputs(), output="second")
    assert (answer.name, answer.classes, len(model.outputs)) == ("second", 5, 1)


def _two_inputs(*, are_both_used: bool) -> openvino.Model:
    parameters = [ops.parameter([-1, SIZE, SIZE, 3], np.float32, name=name) for name in ("pixels", "mask")]
    for parameter in parameters:
        parameter.output(0).get_tensor().set_names({parameter.get_friendly_name()})
    value = ops.add(*parameters) if are_both_used else parameters[0]
    return openvino.Model([ops.result(_softmax(_logits(value)))], parameters, "two")


def test_one_of_several_inputs_must_be_chosen() -> None:
    with pytest.raises(ImportRefused, match="2 inputs: .* choose one with --input NAME"):
        _import(_two_inputs(are_both_used=False))
    assert len(_import(_two_inputs(are_both_used=False), input="pixels")[1].inputs) == 1
    with pytest.raises(ImportRefused, match="also depends on other inputs than the image: 'mask'"):
        _import(_two_inputs(are_both_used=True), input="pixels")


def _not_finite(value: Any) -> Any:
    return ops.log(ops.subtract(value, np.float32(100)))


def _of_whole_batch(value: Any) -> Any:
    return _softmax(ops.subtract(value, ops.reduce_mean(value, np.array([0]), keep_dims=True)))


@pytest.mark.parametrize(
    ("head", "classes", "message"),
    [
        (ops.sigmoid, 1, "a single number, as of a sigmoid that says yes or no"),
        (lambda value: value, 1, "a single number"),
        (ops.sigmoid, 3, "a sigmoid for each label, so that several can be right"),
        (lambda value: ops.multiply(ops.sigmoid(value), np.float32(0.9)), 3, r"multi-label.*--output-kind logits"),
        (_not_finite, 3, "returns NaN or infinity"),
        (_of_whole_batch, 3, "answers a picture differently when it is computed together"),
        (lambda value: ops.softmax(value, 0), 3, "does not sum to 1|differently"),
        (lambda value: ops.convert(ops.round(value), "i32"), 3, "holds numbers of type i32"),
        (lambda value: ops.reshape(value, np.array([-1, 2, 2]), False), 4, "it is not one number for each class"),
    ],
)
def test_refuses_networks_that_are_not_classifiers(head, classes: int, message: str) -> None:
    with pytest.raises(ImportRefused, match=message):
        _import(_model([-1, SIZE, SIZE, 3], head, classes=classes))


def test_the_kind_of_output_can_be_chosen() -> None:
    def small(value: Any) -> Any:
        return ops.multiply(ops.sigmoid(value), np.float32(0.9))

    _, model, answer = _import(_model([-1, SIZE, SIZE, 3], small), output_kind="logits")
    assert answer.kind == "logits"
    np.testing.assert_allclose(outputs_of(model, PIXELS).sum(axis=1), 1, atol=1e-6)
    with pytest.raises(ImportRefused, match="do not sum to 1"):
        _import(_model([-1, SIZE, SIZE, 3], small), output_kind="probabilities")


@pytest.mark.parametrize("shape", [[-1, 12], [-1, SIZE, SIZE], [-1, SIZE, SIZE, 5], [-1, 3, SIZE, 3]])
def test_refuses_inputs_that_are_no_images(shape: list[int]) -> None:
    pixels = ops.parameter(shape, np.float32, name="pixels")
    model = openvino.Model([ops.result(ops.relu(pixels))], [pixels], "test")
    with pytest.raises(ImportRefused, match="has the shape|--layout NHWC"):
        find_image(model, Choices())


def test_refuses_a_network_without_inputs() -> None:
    model = openvino.Model([ops.result(ops.constant(np.eye(3, dtype=np.float32)))], [], "constant")
    with pytest.raises(ImportRefused, match="the network has no input$"):
        find_image(model, Choices())
