"""Checks the files of a version that another site has exported, before it is installed.

Digests find damage. These checks find files that cannot answer, or that Keras would refuse to read.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from worker.inference.graph.canonical import text_of
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.inspection import are_probabilities, outputs_of, probe_of
from worker.inference.importing.keras_files import check_keras_file
from worker.inference.importing.process import Report, call_in_a_process
from worker.inference.importing.reading import read_model
from worker.inference.importing.reference_pictures import check_references
from worker.inference.repository.manifest import FILES, ModelManifest

if TYPE_CHECKING:
    import openvino


def check_version_files(folder: Path, manifest: ModelManifest) -> None:
    """Checks that the network in `folder` takes and returns what the manifest says, and that all can be used.

    A process of its own reads and runs it, as for every import. The Keras model is checked only where `h5py` is
    installed: it comes with TensorFlow, without which nothing reads that file.

    Raises:
        ImportRefused: the files cannot be used; the message says why.
    """
    call_in_a_process(partial(_check, folder, manifest), name=FILES["xml"])


def _check(folder: Path, manifest: ModelManifest, _report: Report) -> None:
    model = read_model(folder / FILES["xml"])
    _check_shapes(model, manifest)
    if not are_probabilities(outputs_of(model, probe_of(manifest.preprocessing))):
        raise ImportRefused("the network returns numbers that are not probabilities")
    if "keras" in manifest.files and find_spec("h5py") is not None:
        check_keras_file(folder / FILES["keras"], trust=False)
    if "references" in manifest.files:
        check_references(folder / FILES["references"], manifest.classes)


def _check_shapes(model: openvino.Model, manifest: ModelManifest) -> None:
    if len(model.inputs) != 1 or not model.outputs:
        raise ImportRefused(f"the network has {len(model.inputs)} inputs and {len(model.outputs)} outputs")
    for what, port, sides in (
        ("takes", model.input(), manifest.preprocessing.shape),
        ("returns", model.output(0), (manifest.classes,)),
    ):
        found = f"{port.element_type.get_type_name()} {text_of(port.partial_shape)}"
        expected = f"f32 (?, {', '.join(str(side) for side in sides)})"
        if found != expected:
            raise ImportRefused(f"the network {what} {found}, and its manifest says {expected}")
