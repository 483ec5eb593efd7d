"""What the repository needs to know to build a model: the shape of every entry of the catalogue."""

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
    """Weights to build from; `path` is None where Keras fetches them itself."""

    path: Path | None
    source: WeightsSource


class Recipe(Protocol):
    """How to make one model. Only `network` may import TensorFlow."""

    @property
    def name(self) -> str: ...

    @property
    def preprocessing(self) -> Preprocessing: ...

    def weights(self, file: Path | None) -> Weights:
        """The weights in `file`, or the usual ones.

        Raises:
            WeightsUnavailable: they are not on this machine; the message says how to get them.
        """

    def network(self, weights: Weights) -> keras.Model:
        """The network with its weights: (n, size, size, 3) float32 to (n, 1000) probabilities.

        Raises:
            WeightsUnavailable: they could not be downloaded.
            WeightsMismatch: they cannot be read, or are those of another network.
        """


def weights_in(file: Path, *suffixes: str) -> Weights:
    """The weights in a file that somebody named, if it has one of these suffixes.

    Raises:
        WeightsUnavailable: there is no such file, or it is of another kind.
    """
    if not file.name.lower().endswith(suffixes):
        kinds = " or ".join(suffixes)
        raise WeightsUnavailable(f"{file.name} is not a file of weights: its name must end in {kinds}")
    try:
        sha256 = sha256_of(file)
    except OSError as error:
        raise WeightsUnavailable(f"cannot read the weights {file}: {error.strerror}") from error
    return Weights(file, WeightsSource("file", file.name, sha256, None))
