"""Builds the files of a version from a recipe and its weights. Imports TensorFlow and OpenVINO when called."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.errors import RepositoryError, first_line
from worker.inference.repository.files import disk_errors
from worker.inference.repository.manifest import FILES
from worker.inference.repository.recipe import Recipe, Weights

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

# The 1000 classes of ImageNet (ILSVRC 2012), in the order of their WordNet ids, which is that of the networks' outputs.
# Columns: WordNet id, label, all names in WordNet 3.0 (its license is beside the file). The label is the first name,
# as Keras' `decode_predictions` writes it.
LABELS = Path(__file__).parent.parent / "data" / "imagenet_labels.tsv"

# The largest accepted difference between two probabilities of TensorFlow and OpenVINO, which sum in different orders.
# On real photos they differ by about 1e-5.
TOLERANCE = 1e-3


def build(recipe: Recipe, weights: Weights, folder: Path, report: Callable[[str], None]) -> VersionDraft:
    """Writes every file of a version except its manifest into `folder`.

    Raises:
        WeightsUnavailable, WeightsMismatch: see `Recipe.network`.
        RepositoryError: TensorFlow is not installed, or the OpenVINO model does not compute what the network computes.
        OSError: the folder cannot be written.
    """
    if find_spec("tensorflow") is None:
        raise RepositoryError(f"building {recipe.name} needs the package tensorflow, which is not installed")
    report(f"building the network {recipe.name}")
    network = recipe.network(weights)
    with disk_errors():
        report("writing the Keras model")
        network.save(folder / FILES["keras"])
        report("compiling for OpenVINO")
        write_openvino(network, folder / FILES["xml"])
        shutil.copyfile(LABELS, folder / FILES["labels"])
    report("comparing both models on random noise")
    _check_agreement(recipe, network, folder / FILES["xml"])
    return VersionDraft(weights.source, recipe.preprocessing, builders=_builders())


def _builders() -> dict[str, str]:
    """The versions of the packages that build a model, by package."""
    tensorflow = _installed("tensorflow") or _installed("tensorflow-cpu")
    return {
        "keras": importlib.metadata.version("keras"),
        "openvino": importlib.metadata.version("openvino"),
        "tensorflow": tensorflow or "unknown",
    }


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def write_openvino(network: keras.Model, path: Path) -> None:
    """Writes the network in OpenVINO's format to `path` (.xml) and its .bin, in f32, with a free batch dimension.

    OpenVINO reads a SavedModel of the network. `openvino.convert_model` would be shorter, but sends usage statistics.

    Raises:
        RepositoryError: OpenVINO lacks an operation of this network.
    """
    import openvino

    with tempfile.TemporaryDirectory(dir=path.parent) as saved:
        network.export(saved, format="tf_saved_model", verbose=False)
        try:
            model = openvino.Core().read_model(saved)
        except RuntimeError as error:
            raise RepositoryError(f"OpenVINO cannot read {network.name}: {first_line(error)}") from error
        try:
            openvino.save_model(model, path, compress_to_fp16=False)
        except RuntimeError as error:
            raise RepositoryError(f"OpenVINO cannot write {network.name}: {first_line(error)}") from error


def _check_agreement(recipe: Recipe, network: keras.Model, xml: Path) -> None:
    """Runs the Keras and the OpenVINO model on the same random noise.

    Raises:
        RepositoryError: they differ by `TOLERANCE` or more, or their outputs are not probabilities.
    """
    import numpy as np

    from worker.inference.preprocessing import normalised

    rule = recipe.preprocessing
    pixels = np.random.default_rng(0).integers(0, 256, (1, *rule.shape), dtype=np.uint8)
    batch = normalised(pixels, rule)
    expected = np.asarray(network(batch, training=False))
    _require_probabilities(recipe.name, expected)
    difference = float(np.abs(_run_openvino(xml, batch) - expected).max())
    if not difference < TOLERANCE:
        raise RepositoryError(f"OpenVINO and TensorFlow disagree on {recipe.name} by {difference:.2g}: not installed")


def _run_openvino(xml: Path, batch: NDArray[Any]) -> NDArray[Any]:
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32"}
    try:
        compiled = openvino.Core().compile_model(xml, "CPU", options)
    except RuntimeError as error:  # a full disk can cut the files off without an error
        raise RepositoryError(f"{xml.name} is not readable after it was written; is the disk full?") from error
    result: NDArray[Any] = compiled(batch)[0]
    return result


def _require_probabilities(name: str, output: NDArray[Any]) -> None:
    import numpy as np

    labels = len(LABELS.read_text(encoding="utf-8").splitlines())
    if output.shape != (1, labels):
        raise RepositoryError(f"the output of {name} has the shape {output.shape}, not (1, {labels})")
    if not (np.isfinite(output).all() and output.min() >= 0 and abs(output.sum() - 1) < 1e-3):
        raise RepositoryError(f"the outputs of {name} with these weights are not probabilities: not installed")
