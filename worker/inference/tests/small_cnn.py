"""A small CNN that tells four kinds of generated pictures apart, in every file format that can be imported.

`small_cnn(folder)` trains it within seconds. It needs TensorFlow, and `onnx` for the ONNX file.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZE = 32
LABELS = ("dark red disc", "dark blue disc", "light red square", "light blue square")

_COLOURS = ((110, 20, 20), (20, 20, 110), (250, 120, 120), (120, 120, 250))


@dataclass(frozen=True)
class SmallCnn:
    """The network's files, and its answers to `batch`, as Keras computes them."""

    keras: Path
    h5: Path
    saved_model: Path
    onnx: Path  # channels first, as PyTorch writes it
    tflite: Path
    xml: Path
    logits: Path  # a .keras file without the softmax
    batch: NDArray[np.float32]  # (n, SIZE, SIZE, 3), from -1 to 1
    answers: NDArray[np.float32]
    weights: list[NDArray[np.float32]]  # for `onnx_bytes`

    @property
    def files(self) -> tuple[Path, ...]:
        """The same network in every format."""
        return (self.keras, self.h5, self.saved_model, self.onnx, self.tflite, self.xml)


def picture(label: int, random: np.random.Generator, size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    """Draws a picture of the label with this index, a little different at each call."""
    width, height = size
    noise = random.integers(0, 25, (height, width, 3)) + (10 if label < 2 else 200)
    image = Image.fromarray(noise.astype(np.uint8))
    side = min(size) * random.uniform(0.5, 0.75)
    left, top = (length / 2 - side / 2 + random.uniform(-0.1, 0.1) * length for length in size)
    draw = ImageDraw.Draw(image).ellipse if label < 2 else ImageDraw.Draw(image).rectangle
    draw((left, top, left + side, top + side), fill=_COLOURS[label])
    return image


def write_pictures(folder: Path, number: int, labels: Sequence[str] = LABELS) -> Path:
    """Writes `number` pictures of each label as `folder`/LABEL/N.png."""
    random = np.random.default_rng(5)
    for index, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for count in range(number):
            picture(index, random, (48, 48)).save(folder / label / f"{count}.png")
    return folder


def small_cnn(folder: Path) -> SmallCnn:
    """Trains the network, which takes pixels from -1 to 1, and writes all its files into `folder`."""
    from worker.inference.keras_runtime import keras

    keras.utils.set_random_seed(0)
    network = _trained()
    logits = keras.Model(network.input, network.layers[-2].output, name="small_logits")
    batch, _ = _examples(3, seed=1)
    files = SmallCnn(
        folder / "small.keras",
        folder / "small.h5",
        folder / "small_saved",
        folder / "small.onnx",
        folder / "small.tflite",
        folder / "small.xml",
        folder / "small_logits.keras",
        batch,
        np.asarray(network(batch, training=False)),
        [np.asarray(weight) for weight in network.get_weights()],
    )
    network.save(files.keras)
    network.save(files.h5)
    logits.save(files.logits)
    network.export(files.saved_model, format="tf_saved_model", verbose=False)
    files.onnx.write_bytes(onnx_bytes(files.weights))
    files.tflite.write_bytes(_tflite(network))
    openvino.save_model(openvino.Core().read_model(files.saved_model), files.xml, compress_to_fp16=False)
    return files


def _trained() -> Any:
    from worker.inference.keras_runtime import keras

    layers = keras.layers
    pixels_in = layers.Input((SIZE, SIZE, 3), name="pixels")
    maps = layers.Conv2D(8, 3, strides=2, activation="relu")(pixels_in)
    maps = layers.Conv2D(16, 3, strides=2, activation="relu")(maps)
    logits = layers.Dense(len(LABELS))(layers.GlobalAveragePooling2D()(maps))
    network = keras.Model(pixels_in, layers.Softmax()(logits), name="small")
    pixels, labels = _examples(48, seed=0)
    network.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    network.fit(pixels, labels, batch_size=16, epochs=15, verbose=0)
    return network


def _examples(number: int, *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels = np.tile(np.arange(len(LABELS)), number)
    pixels = np.stack([np.asarray(picture(label, random)) for label in labels])
    return (pixels / 127.5 - 1).astype(np.float32), labels


def onnx_bytes(weights: Sequence[NDArray[np.float32]], *, softmax: bool = True, batch: int | str = "batch") -> bytes:
    """Writes the network as ONNX with channels first. Without `softmax`, it returns logits."""
    from onnx import TensorProto, helper, numpy_helper

    names = ["kernel1", "bias1", "kernel2", "bias2", "matrix", "bias"]
    arrays = [weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight for weight in weights]
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel1", "bias1"], ["conv1"], strides=[2, 2]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("Conv", ["relu1", "kernel2", "bias2"], ["conv2"], strides=[2, 2]),
        helper.make_node("Relu", ["conv2"], ["relu2"]),
        helper.make_node("GlobalAveragePool", ["relu2"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "matrix", "bias"], ["logits"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [batch, len(LABELS)])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in zip(names, arrays, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def endless_onnx() -> bytes:
    """Returns a network whose loop practically never ends."""
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str, kind: int, shape: list[int | str] | None) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    body = helper.make_graph(
        [helper.make_node("Identity", ["go on"], ["still"]), helper.make_node("Mul", ["old", "factor"], ["new"])],
        "body",
        [value("round", TensorProto.INT64, []), value("go on", TensorProto.BOOL, []), value("old", 1, None)],
        [value("still", TensorProto.BOOL, []), value("new", 1, None)],
        [numpy_helper.from_array(np.array(0.999, np.float32), "factor")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("Loop", ["rounds", "yes", "means"], ["logits"], body=body),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "endless",
        [value("pixels", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [value("probabilities", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.array(2**62), "rounds"), numpy_helper.from_array(np.array(True), "yes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def quantised_tflite(keras_file: Path, batch: NDArray[np.float32], numbers: str) -> bytes:
    """Returns the network with 8-bit arithmetic. `numbers`: the type that it takes and returns, such as `uint8`."""
    from worker.inference.keras_runtime import keras, tensorflow

    lite = tensorflow.lite
    converter = lite.TFLiteConverter.from_keras_model(keras.saving.load_model(keras_file))
    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([pixels[np.newaxis]] for pixels in batch)
    if numbers != "float32":
        converter.target_spec.supported_ops = [lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tensorflow.dtypes.as_dtype(numbers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
        return bytes(converter.convert())


def _tflite(network: Any) -> bytes:
    from worker.inference.keras_runtime import tensorflow

    return bytes(tensorflow.lite.TFLiteConverter.from_keras_model(network).convert())
