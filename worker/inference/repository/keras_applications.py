"""The ImageNet classifiers of `keras.applications`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.inference.repository.errors import WeightsMismatch, WeightsUnavailable, first_line
from worker.inference.repository.manifest import Preprocessing, WeightsSource
from worker.inference.repository.recipe import Weights, weights_in

if TYPE_CHECKING:
    import keras

# The normalisation of Keras' `preprocess_input`, by its mode, as (x - mean) / std on pixels 0..255
# (keras.applications.imagenet_utils). "inside": the network normalises, and `preprocess_input` returns its input.
_NORMALISATIONS: dict[str, Callable[[int], Preprocessing]] = {
    "inside": lambda size: Preprocessing.central_square(size, "RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "tf": lambda size: Preprocessing.central_square(size, "RGB", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "caffe": lambda size: Preprocessing.central_square(size, "BGR", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torch": lambda size: Preprocessing.central_square(size, "RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}

# Module of keras.applications, mode of its preprocess_input, and its functions with their input sizes in pixels.
_TABLE: tuple[tuple[str, str, dict[str, int]], ...] = (
    (
        "convnext",
        "inside",
        {
            "ConvNeXtTiny": 224,
            "ConvNeXtSmall": 224,
            "ConvNeXtBase": 224,
            "ConvNeXtLarge": 224,
            "ConvNeXtXLarge": 224,
        },
    ),
    ("densenet", "torch", {"DenseNet121": 224, "DenseNet169": 224, "DenseNet201": 224}),
    (
        "efficientnet",
        "inside",
        {
            "EfficientNetB0": 224,
            "EfficientNetB1": 240,
            "EfficientNetB2": 260,
            "EfficientNetB3": 300,
            "EfficientNetB4": 380,
            "EfficientNetB5": 456,
            "EfficientNetB6": 528,
            "EfficientNetB7": 600,
        },
    ),
    (
        "efficientnet_v2",
        "inside",
        {
            "EfficientNetV2B0": 224,
            "EfficientNetV2B1": 240,
            "EfficientNetV2B2": 260,
            "EfficientNetV2B3": 300,
            "EfficientNetV2S": 384,
            "EfficientNetV2M": 480,
            "EfficientNetV2L": 480,
        },
    ),
    ("inception_resnet_v2", "tf", {"InceptionResNetV2": 299}),
    ("inception_v3", "tf", {"InceptionV3": 299}),
    ("mobilenet", "tf", {"MobileNet": 224}),
    ("mobilenet_v2", "tf", {"MobileNetV2": 224}),
    ("mobilenet_v3", "inside", {"MobileNetV3Small": 224, "MobileNetV3Large": 224}),
    ("nasnet", "tf", {"NASNetMobile": 224, "NASNetLarge": 331}),
    ("resnet", "caffe", {"ResNet50": 224, "ResNet101": 224, "ResNet152": 224}),
    ("resnet_v2", "tf", {"ResNet50V2": 224, "ResNet101V2": 224, "ResNet152V2": 224}),
    ("vgg16", "caffe", {"VGG16": 224}),
    ("vgg19", "caffe", {"VGG19": 224}),
    ("xception", "tf", {"Xception": 299}),
)


@dataclass(frozen=True)
class KerasApplication:
    """One network: a function of `keras.applications`, and the module that has its `preprocess_input`."""

    function: str
    module: str
    preprocessing: Preprocessing

    @property
    def name(self) -> str:
        return self.function.lower()

    def weights(self, file: Path | None) -> Weights:
        if file is not None:
            return weights_in(file, ".h5", ".keras")
        return Weights(None, WeightsSource("download", f"keras.applications.{self.function}, imagenet", None, None))

    def network(self, weights: Weights) -> keras.Model:
        from worker.inference.keras_runtime import keras

        build = getattr(keras.applications, self.function)
        size = self.preprocessing.width
        if weights.path is not None:
            network = build(weights=None, input_shape=(size, size, 3), classifier_activation="softmax")
            if self.module == "efficientnet":
                network = rescaled(network)
            load_weights(network, weights.path)
            return network
        try:
            return build(weights="imagenet", input_shape=(size, size, 3), classifier_activation="softmax")
        except Exception as error:  # Keras raises a bare Exception when a download fails
            raise WeightsUnavailable(
                f"Keras could not download the weights of {self.name} ({first_line(error)}); "
                "download the file on a machine with a network and use it: --weights FILE"
            ) from error


def load_weights(network: keras.Model, file: Path) -> None:
    """Reads weights that Keras saved, in any of its formats, into `network`.

    It reads only numbers, not the description of the network in a `.keras` file, which may hold code.

    Raises:
        WeightsMismatch: the file is damaged or belongs to another network.
    """
    try:
        network.load_weights(file)
    except Exception as error:  # h5py, zipfile and Keras raise a dozen exceptions for a bad file
        message = f"{file.name} does not fit {network.name}: {first_line(error)}"
        raise WeightsMismatch(message) from error


def rescaled(network: keras.Model) -> keras.Model:
    """The EfficientNet network as `weights="imagenet"` builds it: with a layer that divides by sqrt(std).

    Keras adds this layer, which has no weights, only if it downloads the weights itself. Without the layer, the same
    weights from a file give worse answers.
    """
    from worker.inference.keras_runtime import keras

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        if not isinstance(layer, keras.layers.Normalization):
            return output
        scale = [1 / math.sqrt(std) for std in (0.229, 0.224, 0.225)]
        return keras.layers.Rescaling(scale, name="imagenet_rescaling")(output)

    return keras.models.clone_model(network, call_function=call)


RECIPES = tuple(
    KerasApplication(function, module, _NORMALISATIONS[mode](size))
    for module, mode, functions in _TABLE
    for function, size in functions.items()
)
