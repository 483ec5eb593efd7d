"""The head of a network: its last dense layer, the features that this layer reads, and the backbone that makes them.

A network of a version returns probabilities. From there back, through the union of labels of a grouped version and
through the Softmax, the first multiplication with constant weights is the head.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import openvino
from openvino import opset13

from worker.inference.repository import ModelVersion
from worker.inference.repository.manifest import Preprocessing

# The most features of a network in `keras.applications` (VGG16). A dense layer on a whole feature map has many more;
# their rows would be larger than the picture.
MOST_FEATURES = 4096

BACKBONE_DIGITS = 16  # of the SHA-256 of a backbone; enough to tell some thousands of them apart

_KEEP_VALUES = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Transpose", "Convert", "FakeQuantize"})
_WITH_CONSTANT = frozenset({"Add", "Subtract", "Multiply", "Divide"})
_REDUCTIONS = frozenset({"ReduceMean", "ReduceMax"})
_POOLINGS = frozenset({"AvgPool", "MaxPool", "AdaptiveAvgPool", "AdaptiveMaxPool"})


@dataclass(frozen=True)
class Head:
    """The last dense layer of a network.

    Attributes:
        features: the output that the head reads: float32 (n, size), perhaps with axes of length 1.
        size: the number of features of an image.
        feature_map: the output that is pooled to the features, or None if they do not come from pooling.
    """

    features: Any
    size: int
    feature_map: Any

    @property
    def is_pooled(self) -> bool:
        return self.feature_map is not None

    @property
    def is_storable(self) -> bool:
        """Whether the features are few enough to be stored for each image."""
        return self.size <= MOST_FEATURES


def find_head(model: openvino.Model) -> Head | None:
    """Returns the head of a network, or None if the network does not end in a dense layer and a Softmax."""
    output = model.get_results()[0].input_value(0)
    is_after_softmax = True
    while output is not None:
        node = output.get_node()
        size = _dense_inputs(node)
        if size is not None and not is_after_softmax:
            return _head(node.input_value(0), size)
        if node.get_type_name() == "Softmax":
            is_after_softmax = False
        # After the Softmax, a dense layer is the union of labels of a grouped version.
        passes = size is not None or node.get_type_name() == "Softmax"
        output = node.input_value(0) if passes else _previous(node)
    return None


def add_features(model: openvino.Model, head: Head) -> None:
    """Adds the features to a network as its second output, float32 (n, size)."""
    features = head.features
    if len(features.get_partial_shape()) != 2:
        features = opset13.reshape(features, [0, head.size], special_zero=True).output(0)
    model.add_outputs([features])


def backbone_id(model: openvino.Model, head: Head, preprocessing: Preprocessing) -> str:
    """Returns the identity of a backbone, the same for all versions that compute the same features.

    It is a digest of the preprocessing and of the graph up to the features: operations, attributes, connections and
    constants. The names of operations do not count, because each conversion gives others.
    """
    digest = hashlib.sha256(json.dumps(asdict(preprocessing), sort_keys=True).encode())
    digest.update(_digest(model, head.features).encode())
    return digest.hexdigest()[:BACKBONE_DIGITS]


def version_backbone(version: ModelVersion) -> str:
    """Returns the id of the backbone of a version, or "" if it has no features.

    Raises:
        Damaged: a file of the version is missing or changed.
    """
    model, head = _read(version)
    if head is None or not head.is_storable:
        return ""
    return backbone_id(model, head, version.manifest.preprocessing)


def describe_features(version: ModelVersion) -> str:
    """Says what features a version has, such as "1,280 features from the pooling layer of efficientnet-lite0".

    Raises:
        Damaged: a file of the version is missing or changed.
    """
    _model, head = _read(version)
    if head is None:
        return "none: the network has no dense layer at its end"
    if not head.is_storable:
        return f"none: its last layer reads {head.size:,} values, more than {MOST_FEATURES:,}"
    network = version.manifest.base.partition("@")[0] or version.name
    if head.is_pooled:
        return f"{head.size:,} features from the pooling layer of {network}"
    return f"{head.size:,} features from the second-to-last layer of {network}"


def _read(version: ModelVersion) -> tuple[openvino.Model, Head | None]:
    version.check("xml", "bin")
    model = openvino.Core().read_model(version.file("xml"))
    return model, find_head(model)


def _head(data: Any, size: int) -> Head | None:
    features = data
    while features.get_node().get_type_name() in {"FakeQuantize", "Convert"}:  # before the rounding to 8 bits
        features = features.get_node().input_value(0)
    if _values_per_image(features) != size:
        return None  # the layer runs at many positions, and what follows combines them
    return Head(features, size, _pooled(features))


def _dense_inputs(node: Any) -> int | None:
    """Returns how many values a dense layer with constant weights reads, or None for another operation."""
    if node.get_type_name() not in {"MatMul", "Convolution"} or not _is_constant(node.input_value(1)):
        return None
    shape, attributes = tuple(node.input_value(1).get_shape()), node.get_attributes()
    if node.get_type_name() == "Convolution":
        is_dense = all(length == 1 for length in shape[2:])
        return int(shape[1]) if is_dense else None
    if len(shape) != 2 or attributes["transpose_a"]:
        return None
    return int(shape[1] if attributes["transpose_b"] else shape[0])


def _previous(node: Any) -> Any:
    """Returns the input of an operation that moves, scales or rounds values, or None for another operation."""
    if node.get_type_name() in _KEEP_VALUES:
        return node.input_value(0)
    if node.get_type_name() in _WITH_CONSTANT:
        varying = [value for value in node.input_values() if not _is_constant(value)]
        return varying[0] if len(varying) == 1 else None
    return None


def _is_constant(output: Any) -> bool:
    """Whether this is a constant, perhaps stored with fewer bits and expanded by operations on constants."""
    node = output.get_node()
    if node.get_type_name() == "Constant":
        return True
    expands = node.get_type_name() in _KEEP_VALUES | _WITH_CONSTANT
    return expands and all(_is_constant(value) for value in node.input_values())


def _values_per_image(output: Any) -> int | None:
    """Returns the number of values after the batch dimension, or None if it is not fixed."""
    shape = output.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    dimensions = list(shape)[1:]
    return math.prod(d.get_length() for d in dimensions) if all(d.is_static for d in dimensions) else None


def _pooled(features: Any) -> Any:
    """Returns the output that is pooled to these features, or None."""
    node = features.get_node()
    while node.get_type_name() in _KEEP_VALUES:
        node = node.input_value(0).get_node()
    kind = node.get_type_name()
    if kind in _POOLINGS:
        is_global = all(d.is_static and d.get_length() == 1 for d in list(node.output(0).get_partial_shape())[2:])
        return node.input_value(0) if is_global else None
    is_map = kind in _REDUCTIONS and node.input_value(0).get_partial_shape().rank == openvino.Dimension(4)
    return node.input_value(0) if is_map else None


def _digest(model: openvino.Model, output: Any) -> str:
    """Returns a digest of all operations that an output depends on.

    Each operation's digest includes those of its inputs, so the order of the operations does not matter.
    """
    digests: dict[int, str] = {}
    last = output.get_node().get_instance_id()
    for node in model.get_ordered_ops():
        inputs = [(digests[value.get_node().get_instance_id()], value.get_index()) for value in node.input_values()]
        kind = node.get_type_info()
        described = [kind.name, kind.version_id, node.get_attributes(), inputs]
        digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
        if kind.name == "Constant":
            digest.update(node.data)
        digests[node.get_instance_id()] = digest.hexdigest()
        if node.get_instance_id() == last:
            break
    return f"{digests[last]}:{output.get_index()}"
