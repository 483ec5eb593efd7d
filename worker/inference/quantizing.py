"""Makes int8 versions of installed versions."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from worker.inference.graph.errors import reason
from worker.inference.graph.quantization import CannotQuantize, quantized, saturates
from worker.inference.graph.saving import noise, save_network
from worker.inference.preprocessing import normalised
from worker.inference.repository import ModelVersion, Repository, RepositoryError
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.files import sha256_of
from worker.inference.repository.manifest import FILES, WeightsSource
from worker.inference.repository.names import LONGEST_NAME


def int8_name(base: ModelVersion) -> str:
    """Returns the name of the int8 versions of `base`.

    It is a name of its own: the name of the base still means a version in f32, so no site that chose its model by name
    gets int8 unasked.

    Raises:
        RepositoryError: the name is too long.
    """
    name = f"{base.name}-int8"
    if len(name) > LONGEST_NAME:
        raise RepositoryError(
            f"the int8 version cannot be named {name}, because a name has at most {LONGEST_NAME} characters: "
            "install the base under a shorter name"
        )
    return name


def check_quantizable(base: ModelVersion) -> None:
    """Checks that an int8 version of `base` can be made and used on this machine.

    Raises:
        RepositoryError: it cannot; the message says why.
    """
    if base.manifest.precision != "f32":
        raise RepositoryError(f"{base} is an {base.manifest.precision} version already")
    int8_name(base)
    if saturates(openvino.Core()):
        raise RepositoryError(
            "this processor adds int8 products with saturation, which changes about one answer in ten: "
            "int8 needs a processor with VNNI or AMX; stay with f32 here"
        )


def build_candidate(
    base: ModelVersion, pictures: Iterable[NDArray[np.uint8]], folder: Path, *, calibrated_on: str
) -> ModelVersion:
    """Builds an int8 version of `base`, named by `int8_name`, in a repository of its own under `folder`.

    Nothing is installed by it.

    Args:
        pictures: what `Preprocessor` makes of the images that the ranges of values are measured on.
        calibrated_on: what these images are, for the manifest.

    Raises:
        RepositoryError: the network cannot be quantised or named, or the folder cannot be written.
    """
    rule = base.manifest.preprocessing

    def build(target: Path) -> VersionDraft:
        try:
            network = openvino.Core().read_model(base.file("xml"))
            int8 = quantized(network, (normalised(pixels, rule) for pixels in pictures))
            save_network(int8, target / FILES["xml"], noise(rule.shape))
        except CannotQuantize as error:
            raise RepositoryError(f"{base} cannot be quantised: {error}") from error
        except RuntimeError as error:
            raise RepositoryError(f"OpenVINO cannot quantise {base}: {reason(error)}") from error
        for kind in {"labels", "references"} & base.manifest.files.keys():
            shutil.copyfile(base.file(kind), target / FILES[kind])
        return VersionDraft(
            source=WeightsSource("version", str(base), sha256_of(target / FILES["bin"]), base.manifest.source.license),
            preprocessing=rule,
            precision="int8",
            base=str(base),
            details={"calibrated on": calibrated_on},
            builders={"openvino": importlib.metadata.version("openvino")},
        )

    return Repository(folder).add(int8_name(base), build)


def install_candidate(repository: Repository, candidate: ModelVersion, report: Callable[[str], None]) -> ModelVersion:
    """Installs what `build_candidate` has built, under the next free number of its name. Does not activate it.

    Raises:
        RepositoryError: the models folder cannot be written.
    """
    manifest = candidate.manifest

    def copy(target: Path) -> VersionDraft:
        for kind in manifest.files:
            shutil.copyfile(candidate.file(kind), target / FILES[kind])
        return VersionDraft(
            source=manifest.source,
            preprocessing=manifest.preprocessing,
            precision=manifest.precision,
            base=manifest.base,
            details=manifest.details,
            builders=manifest.builders,
        )

    return repository.add(candidate.name, copy, report=report)
