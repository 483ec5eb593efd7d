"""The protocol of the catalogue's entries: where a model's weights are, and how to build its network.

To add a model, write a class that implements `Recipe` and add its instances to `catalogue.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from worker.inference.repository.errors import WeightsUnavailable
from worker.inference.repository.files import sha256_of
from worker.inference.repository.manifest import Preprocessing, WeightsSource

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Weights:
    """The weights of a model. `path` is None if Keras downloads them."""

    path: Path | None
    source: WeightsSource


class Recipe(Protocol):
    """One model that can be installed. Only `network` may import TensorFlow."""

    @property
    def name(self) -> str: ...

    @property
    def preprocessing(self) -> Preprocessing: ...

    def weights(self, file: Path | None) -> Weights:
        """The weights in `file`, or the default ones.

        Raises:
            WeightsUnavailable: they are not on this machine, or `file` is of another kind. The message says what to do.
        """

    def network(self, weights: Weights) -> keras.Model:
        """The network with its weights.

        Its input is float32 (n, size, size, 3), normalised as `preprocessing` says. Its output is float32 (n, 1000): a
        softmax over the classes of ImageNet in their usual order.

        Raises:
            WeightsUnavailable: the weights could not be downloaded.
            WeightsMismatch: the weights cannot be read, or belong to another network.
        """


def weights_in(file: Path, *suffixes: str) -> Weights:
    """The weights in a file, whose name must end in one of these suffixes.

    Raises:
        WeightsUnavailable: the file cannot be read, or has another suffix.
    """
    if not file.name.lower().endswith(suffixes):
        kinds = " or ".join(suffixes)
        raise WeightsUnavailable(f"{file.name} is not a file of weights for this model: the name must end in {kinds}")
    try:
        sha256 = sha256_of(file)
    except OSError as error:
        raise WeightsUnavailable(f"cannot read the weights {file}: {error.strerror}") from error
    return Weights(file, WeightsSource("file", file.name, sha256, None))
