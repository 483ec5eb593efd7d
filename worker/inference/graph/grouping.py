"""Adds up the probabilities of a network's labels, so that it answers with groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops


def with_groups(model: openvino.Model, groups: Sequence[Sequence[int]]) -> openvino.Model:
    """Returns a copy of a network whose output has one probability for each group, the sum of those of its labels.

    Args:
        model: a network in canonical form.
        groups: the numbers of each group's labels. Each label must be in exactly one group, or else the sums are not
            probabilities.

    Raises:
        ValueError: a label is in no group or in several, or a group is empty.
    """
    grouped = model.clone()
    result = grouped.get_results()[0]
    probabilities = result.input_value(0)
    classes = probabilities.get_partial_shape()[1].get_length()
    if sorted(number for group in groups for number in group) != list(range(classes)) or not all(groups):
        raise ValueError(f"the groups do not contain each of {classes} labels exactly once")
    matrix = np.zeros((classes, len(groups)), np.float32)
    for column, group in enumerate(groups):
        matrix[list(group), column] = 1
    sums = ops.matmul(probabilities, ops.constant(matrix), False, False)
    # The tensor keeps its name: it is that of the network's output.
    names = probabilities.get_names()
    probabilities.set_names(set())
    sums.output(0).set_names(names)
    result.input(0).replace_source_output(sums.output(0))
    grouped.validate_nodes_and_infer_types()
    return grouped


def is_grouping(node: Any) -> bool:
    """Whether a node adds up probabilities. It is no layer of the network: its weights are zeros and ones."""
    if node.get_type_name() != "MatMul" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    values = node.input_value(0).get_node()
    return values.get_type_name() == "Softmax" or is_grouping(values)
