"""Networks in canonical form that compile within milliseconds, and versions made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from worker.inference.repository import ModelVersion, Repository
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.labels import Label, labels_to_text
from worker.inference.repository.manifest import FILES, Preprocessing, WeightsPrecision, WeightsSource

SIDE = 16
PREPROCESSING = Preprocessing(SIDE, SIDE, "RGB", (127.0,) * 3, (128.0,) * 3)
ANIMALS = (
    Label("n1", "tabby", "tabby", ("tabby cat", "puss")),
    Label("n2", "Persian_cat", "Persian_cat", ("puss",)),
    Label("n3", "crane", "crane (bird)"),
    Label("n4", "crane", "crane (machine)"),
    Label("n5", "Eskimo_dog", "Eskimo_dog", ("husky",)),
)


def small_cnn(classes: int = len(ANIMALS), *, scale: float = 1.0) -> openvino.Model:
    """Two convolutions with a residual addition, pooling and a dense layer, with random weights."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> Any:
        return ops.constant((rng.standard_normal(shape) * scale).astype(np.float32))

    image = ops.parameter([-1, SIDE, SIDE, 3], np.float32, name="image")
    value = ops.transpose(image, ops.constant([0, 3, 1, 2]))
    value = ops.convolution(value, weights(8, 3, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
    value = ops.clamp(ops.add(value, weights(1, 8, 1, 1)), 0.0, 6.0)
    inner = ops.group_convolution(value, weights(8, 1, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    value = ops.add(value, inner)
    features = ops.reduce_mean(value, ops.constant([2, 3]))
    logits = ops.matmul(features, weights(8, classes), False, False)
    return openvino.Model([ops.softmax(logits, 1).output(0)], [image])


def network_that_finds(likely: int, classes: int) -> openvino.Model:
    """Finds the same class in every picture."""
    image = ops.parameter([-1, SIDE, SIDE, 3], np.float32)
    means = ops.reduce_mean(image, np.array([1, 2]), keep_dims=False)
    bias = np.zeros((1, classes), np.float32)
    bias[0, likely] = 3
    scores = ops.add(ops.matmul(means, np.zeros((3, classes), np.float32), False, False), bias)
    return openvino.Model([ops.softmax(scores, 1).output(0)], [image])


def add_version(
    repository: Repository,
    name: str = "animals",
    labels: Sequence[Label] = ANIMALS,
    *,
    network: openvino.Model | None = None,
    precision: WeightsPrecision = "f32",
    base: str = "",
    references: bytes = b"",
) -> ModelVersion:
    """Installs a version of a small network. `references`: the content of `references.zip`, if it has one."""
    model = network or small_cnn(len(labels))

    def build(folder: Path) -> VersionDraft:
        openvino.save_model(model, folder / FILES["xml"], compress_to_fp16=False)
        (folder / FILES["labels"]).write_text(labels_to_text(labels), encoding="utf-8")
        if references:
            (folder / FILES["references"]).write_bytes(references)
        source = WeightsSource("file", "animals.onnx", "a" * 64, "MIT")
        return VersionDraft(source, PREPROCESSING, precision=precision, base=base)

    return repository.add(name, build)


def compute(model: openvino.Model, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns the first output of a network."""
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(images)[0])


def noise(number: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(2).standard_normal((number, SIDE, SIDE, 3)).astype(np.float32)
