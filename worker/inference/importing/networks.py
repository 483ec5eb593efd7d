"""Reads network files of every supported format as OpenVINO models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.reading import read_keras, read_model

MAX_BYTES = 4 * 2**30  # of a network with its weights; ONNX and TensorFlow cannot write more than 2 GiB into one file
MAX_FILES = 10_000  # in a SavedModel's folder

SAVED_MODEL = "SavedModel"
FORMATS = {
    ".keras": "Keras",
    ".h5": "Keras HDF5",
    ".hdf5": "Keras HDF5",
    ".onnx": "ONNX",
    ".tflite": "TensorFlow Lite",
    ".xml": "OpenVINO IR",
}
KERAS_FORMATS = {"Keras", "Keras HDF5"}


@dataclass(frozen=True)
class Network:
    """A network as it was read: not yet in the canonical form.

    Attributes:
        format: a value of `FORMATS`, or `SAVED_MODEL`.
        model: an `openvino.Model`.
        keras: the model as a `.keras` file, if it was read from Keras and has no code in it.
    """

    format: str
    model: Any
    keras: Path | None


def is_network(path: Path) -> bool:
    """Whether a path looks like a network: by the ending of its name, or as the folder of a SavedModel."""
    return path.suffix.lower() in FORMATS or (path / "saved_model.pb").is_file()


def format_of(path: Path) -> str:
    """The format of a file or folder, by its name and its contents.

    Raises:
        ImportRefused: it does not exist, cannot be read, is too large, has links, or is of no supported format.
    """
    try:
        if path.is_dir():
            _check_folder(path)
            return SAVED_MODEL
        name = FORMATS.get(path.suffix.lower())
        if path.exists() and not path.is_file():
            raise ImportRefused(f"{path} is not a file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ImportRefused(f"cannot read {path}: {error.strerror}") from error
    if name is None:
        known = ", ".join(FORMATS)
        raise ImportRefused(f"{path.name} is not a network: the name must end in {known}, or be a SavedModel's folder")
    if path.suffix.lower() == ".xml":
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise ImportRefused(f"{path.name} needs its weights beside it, in {weights.name}")
        size += weights.stat().st_size
    _check_size(path, size)
    return name


def files_of(path: Path) -> list[Path]:
    """The files that make up a network, in a fixed order. The path has passed `format_of`."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]


def read_network(path: Path, folder: Path, *, trust: bool = False) -> Network:
    """Reads a network. A damaged one can crash this process; see `process.call_in_a_process`.

    Args:
        path: a `.keras`, Keras `.h5`, `.onnx`, `.tflite` or OpenVINO `.xml` file, or a SavedModel's folder. Keras files
            need TensorFlow; OpenVINO reads the others.
        folder: an empty folder for intermediate files, which must stay as long as the network is used.
        trust: run the Python code that Lambda layers of a Keras file hold.

    Raises:
        ImportRefused: the file cannot be read; the message says why.
        OSError: `folder` cannot be written, for example because the disk is full.
    """
    kind = format_of(path)
    if kind in KERAS_FORMATS:
        return Network(kind, *read_keras(path, folder, trust=trust))
    return Network(kind, read_model(path), None)


def _check_folder(path: Path) -> None:
    if not (path / "saved_model.pb").is_file():
        raise ImportRefused(f"{path} is not a SavedModel: it lacks saved_model.pb")
    total = number = 0
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            entry = Path(folder, name)
            if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
                raise ImportRefused(f"{path} has a link or a special file in it: {entry.relative_to(path)}")
            number += 1
            if number > MAX_FILES:
                raise ImportRefused(f"{path} has more than {MAX_FILES:,} files")
            total += entry.stat().st_size
    _check_size(path, total)


def _check_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise ImportRefused(f"{path.name} has {size / 1e9:.1f} GB; networks of up to {MAX_BYTES / 1e9:.1f} GB are read")
