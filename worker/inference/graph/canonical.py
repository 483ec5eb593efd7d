"""Rewrites a network to the form that every engine takes.

The canonical form has one input, float32 (n, height, width, channels), and one output, float32 (n, classes). The number
of images n is free. The output is probabilities: each row sums to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor

# Operations that change the shape or the type of values, but not what they mean.
_NEUTRAL = {"Convert", "Identity", "Reshape", "Result", "Squeeze", "Transpose", "Unsqueeze"}


class NotCanonical(ValueError):
    """The network cannot be rewritten to the canonical form. The message says why."""


def reduced(model: openvino.Model, image: Any, answer: Any) -> openvino.Model:
    """Returns a network that has only the input `image` and the output `answer`, two ports of `model`.

    A quantised network rounds its answers to 8 bits at its end. This step is left out.

    Raises:
        NotCanonical: the output also depends on another input.
    """
    try:
        return openvino.Model([ops.result(_unrounded(answer))], [image.get_node()], "reduced")
    except RuntimeError as error:
        names = ", ".join(repr(name_of(port)) for port in model.inputs if port.node is not image.node)
        raise NotCanonical(f"the output also depends on other inputs than the image: {names}") from error


def _unrounded(answer: Any) -> Any:
    value = answer.get_node().input_value(0)
    before = value.get_node()
    if before.get_type_name() == "Convert" and before.input_value(0).get_node().get_type_name() == "FakeQuantize":
        value = before.input_value(0)  # to an integer type
    while value.get_node().get_type_name() == "FakeQuantize":
        value = value.get_node().input_value(0)
    return value


def channels_last(model: openvino.Model, layout: str, height: int, width: int) -> openvino.Model:
    """Returns the network with its canonical input and an output of shape (n, classes); its values stay as they are.

    Args:
        model: one input, whose number of channels is known, and one output. It is changed.
        layout: the order of the input's dimensions, `NHWC` or `NCHW`.

    Raises:
        NotCanonical: the network cannot take another number of images than the one it was saved for, or its output is
            not one number for each class.
    """
    shape = list(model.input().partial_shape)
    shape[0] = openvino.Dimension()
    shape[layout.index("H")], shape[layout.index("W")] = openvino.Dimension(height), openvino.Dimension(width)
    model = _with_free_batch(model, openvino.PartialShape(shape))
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.f32).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout(layout))
    if model.input().element_type == openvino.Type.i8:
        steps.input().preprocess().mean(128.0)  # whole numbers from -128 to 127 stand for the pixels 0 to 255
    return _with_flat_output(steps.build())


def with_softmax(model: openvino.Model) -> openvino.Model:
    """Returns the network with a softmax at its end."""
    return _with_result(model, ops.softmax(model.output().get_node().input_value(0), 1))


def last_operation(model: openvino.Model) -> str:
    """The type of the last operation that changes the output's values, such as `Softmax` or `MatMul`."""
    node = model.output().get_node()
    while node.get_type_name() in _NEUTRAL and node.get_input_size():
        node = node.input_value(0).get_node()
    return str(node.get_type_name())


def name_of(port: Any) -> str:
    """The name of an input or output; for one without a name, that of the operation behind it."""
    return str(port.any_name if port.names else port.get_node().friendly_name)


def _with_free_batch(model: openvino.Model, shape: openvino.PartialShape) -> openvino.Model:
    try:
        model.reshape(shape)
        if model.output().partial_shape.rank.is_static and model.output().partial_shape[0].is_static:
            _free_reshapes(model)
            model.reshape(shape)
    except RuntimeError:
        _free_reshapes(model)
        try:
            model.reshape(shape)
        except RuntimeError as error:
            raise NotCanonical(
                "the network cannot take several images at a time: export it with a free batch dimension"
            ) from error
    return model


def _free_reshapes(model: openvino.Model) -> None:
    """Frees the number of images in constant target shapes, which an export for one image has fixed to 1."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Reshape":
            continue
        pattern = node.input_value(1).get_node()
        if pattern.get_type_name() != "Constant":
            continue
        sides = [int(side) for side in pattern.get_data().reshape(-1)]
        if len(sides) < 2 or sides[0] != 1 or 0 in sides:
            continue
        # One dimension of a target shape may be open (-1); 0 means: as it was.
        sides[0] = 0 if -1 in sides else -1
        new = ops.reshape(node.input_value(0), ops.constant(np.array(sides, np.int64)), special_zero=True)
        new.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(new.output(0))


def _with_flat_output(model: openvino.Model) -> openvino.Model:
    shape = model.output().partial_shape
    if shape.rank.is_dynamic or shape.rank.get_length() < 2 or any(side.is_dynamic for side in list(shape)[1:]):
        raise NotCanonical(f"the output has the shape {text_of(shape)}: it is not one number for each class")
    sides = [side.get_length() for side in list(shape)[1:]]
    classes = int(np.prod(sides))
    if max(sides) != classes:
        raise NotCanonical(f"the output has the shape {text_of(shape)}: it is not one number for each class")
    if shape[0].is_static:
        raise NotCanonical("the network cannot take several images at a time: export it with a free batch dimension")
    value = model.output().get_node().input_value(0)
    if len(sides) > 1:
        value = ops.reshape(value, ops.constant(np.array([-1, classes], np.int64)), special_zero=False).output(0)
    if value.get_element_type() != openvino.Type.f32:
        value = ops.convert(value, "f32").output(0)
    return _with_result(model, value)


def _with_result(model: openvino.Model, value: Any) -> openvino.Model:
    result = ops.result(value)
    result.output(0).get_tensor().set_names({"probabilities"})
    return openvino.Model([result], model.get_parameters(), "canonical")


def text_of(shape: openvino.PartialShape) -> str:
    """A shape as people write it: (?, 3, 224, 224)."""
    if shape.rank.is_dynamic:
        return "(unknown)"
    return "(" + ", ".join("?" if side.is_dynamic else str(side.get_length()) for side in shape) + ")"
