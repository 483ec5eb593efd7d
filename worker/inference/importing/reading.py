"""Reads a network file in a process of its own, and writes the network in OpenVINO's format.

A damaged file can crash the libraries that read it, or make them use all memory. Then only that process ends.
"""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.inference.graph.errors import reason
from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.keras_files import check_keras_file
from worker.inference.repository.errors import RepositoryError

_ANSWER = "answer.json"
_XML = "network.xml"
_KERAS = "model.keras"
_DISK_FULL = {errno.EDQUOT, errno.EFBIG, errno.ENOSPC}
_TOLERANCE = 1e-3  # between Keras and OpenVINO


@dataclass(frozen=True)
class Files:
    """What the process has written: the network, and for a Keras file the model in Keras' current format."""

    xml: Path
    keras: Path | None


def read_in_a_process(path: Path, folder: Path, *, trust: bool) -> Files:
    """Reads the network in `path` and writes it into the empty `folder`.

    Raises:
        ImportRefused: it cannot be read; the message says why.
        OSError: `folder` cannot be written, for example because the disk is full.
    """
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(str(path), str(folder), trust))
    process.start()
    process.join()
    try:
        answer = json.loads((folder / _ANSWER).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise ImportRefused(_died(path, process.exitcode)) from error
    if answer["errno"]:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    if answer["refused"]:
        raise ImportRefused(answer["refused"])
    keras = folder / _KERAS
    return Files(folder / _XML, keras if keras.exists() else None)


def _died(path: Path, code: int | None) -> str:
    if code == -9:
        return f"{path.name} cannot be read: the process that read it was killed, probably because memory was short"
    if code is not None and code >= 0:
        return f"{path.name} cannot be read: the process that reads it could not write its answer; is the disk full?"
    return f"{path.name} cannot be read: it is damaged, and crashed the library that reads it (exit code {code})"


def _run(path: str, folder: str, trust: bool) -> None:
    """The process: writes its answer to a file, because libraries write to its standard output."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _silence()
    answer: dict[str, Any] = {"refused": "", "errno": 0}
    try:
        _read(Path(path), Path(folder), trust=trust)
    except RepositoryError as error:
        answer["refused"] = str(error)
    except MemoryError:
        answer["refused"] = f"{Path(path).name} needs more memory than this machine has"
    except OSError as error:
        answer["errno"] = error.errno if error.errno in _DISK_FULL else 0
        answer["refused"] = f"{Path(path).name} cannot be read: {reason(error)}"
    except Exception as error:  # noqa: BLE001 - Keras and its libraries raise nearly anything
        answer["refused"] = f"{Path(path).name} cannot be read: {reason(error)}"
    Path(folder, _ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _silence() -> None:
    """Discards what native libraries print: the answer says what matters."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def _read(path: Path, folder: Path, *, trust: bool) -> None:
    if path.suffix.lower() in {".keras", ".h5", ".hdf5"}:
        _read_keras(path, folder, trust=trust)
        return
    _save(_openvino_model(path), folder)


def _openvino_model(path: Path) -> Any:
    import openvino

    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        raise ImportRefused(f"{path.name} cannot be read: {reason(error)}") from error


def _save(model: Any, folder: Path) -> None:
    import openvino

    try:
        openvino.save_model(model, folder / _XML, compress_to_fp16=False)
    except RuntimeError as error:
        raise ImportRefused(f"the network cannot be written: {reason(error)}; is the disk full?") from error


def _read_keras(path: Path, folder: Path, *, trust: bool) -> None:
    check_keras_file(path, trust=trust)
    try:
        from worker.inference.keras_runtime import keras
    except ModuleNotFoundError as error:
        raise ImportRefused(
            f"reading {path.name} needs the package {error.name}, which is not installed: use an image or an"
            " environment that has it, or export the network as ONNX"
        ) from error
    network = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    saved = folder / "saved"
    network.export(saved, format="tf_saved_model", verbose=False)
    model = _openvino_model(saved)
    _check_agreement(network, model)
    _save(model, folder)
    if not trust:  # a model with code in it could not be loaded again
        network.save(folder / _KERAS)


def _check_agreement(network: Any, model: Any) -> None:
    """Compares Keras' and OpenVINO's outputs on random noise, if the network has one input of a fixed size."""
    import numpy as np
    import openvino

    shapes = [tuple(tensor.shape[1:]) for tensor in network.inputs]
    if len(shapes) != 1 or None in shapes[0] or len(network.outputs) != 1:
        return
    noise = np.random.default_rng(0).uniform(-1, 1, (2, *shapes[0])).astype(np.float32)
    expected = np.asarray(network(noise, training=False))
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    largest = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(compiled(noise)[0] - expected).max()) / largest
    if difference > _TOLERANCE:  # not finite outputs are reported later, with a better message
        raise ImportRefused(f"OpenVINO and TensorFlow disagree on this network by {difference:.2g}")
