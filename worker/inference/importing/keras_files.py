"""Checks the files of Keras models before Keras reads them: their size when unpacked, and the code that they name.

A `.keras` file is a zip archive with `config.json` and an HDF5 file of weights; an `.h5` file has both in HDF5. Either
can name Python code: a Lambda layer holds it, and a custom layer is a class that this program does not have.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from worker.inference.importing.errors import ImportRefused

MAX_UNPACKED_BYTES = 4 * 2**30
MAX_CONFIG_BYTES = 64 * 2**20

# Weights hardly shrink. A file that grows more than this holds nothing but zeros.
_MAX_RATIO = 50
_SMALL_BYTES = 2**20  # a small file may shrink more

# What Keras may look up for a layer, besides Python's built-in functions by name.
_KERAS_PACKAGES = {
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "quantizers",
    "random",
    "regularizers",
}

# Layers that networks of `keras.applications` have beside the usual ones.
_KERAS_CLASSES = {
    ("keras.applications.convnext", "LayerScale"),
    ("keras.applications.convnext", "StochasticDepth"),
    ("keras.applications.inception_resnet_v2", "CustomScaleLayer"),
}


def check_keras_file(path: Path, *, trust: bool) -> None:
    """Checks a `.keras` or `.h5` file.

    Args:
        trust: whether the file may hold Python code (Lambda layers), which runs when it is read.

    Raises:
        ImportRefused: it is damaged, grows too large when it is unpacked, has a name outside its folder, or needs code
            that this program does not have or that is not trusted.
    """
    config = _config_of_archive(path) if path.suffix.lower() == ".keras" else _config_of_hdf5(path)
    try:
        network = json.loads(config)
        _check_code(network, trust=trust)
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f"{path.name} is damaged: its configuration is not JSON") from error
    if not isinstance(network, dict) or not isinstance(network.get("config"), dict):
        raise ImportRefused(f"{path.name} is damaged: its configuration does not describe a network")


def _config_of_archive(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(path, member)
            if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
                raise ImportRefused(f"{path.name} is larger than {MAX_UNPACKED_BYTES / 1e9:.1f} GB when it is unpacked")
            names = {member.filename: member for member in members}
            if len(names) != len(members):
                raise ImportRefused(f"{path.name} is damaged: it has two files of one name")
            if not {"config.json", "model.weights.h5"} <= set(names):
                raise ImportRefused(f"{path.name} is not a Keras model: it lacks config.json or model.weights.h5")
            if names["config.json"].file_size > MAX_CONFIG_BYTES:
                raise ImportRefused(f"{path.name} has a config.json of more than {MAX_CONFIG_BYTES:,} bytes")
            damaged = archive.testzip()
            if damaged is not None:
                raise ImportRefused(f"{path.name} is damaged: {damaged} has another checksum")
            config = archive.read("config.json")
            with archive.open("model.weights.h5") as weights:
                _check_hdf5(path, weights, names["model.weights.h5"].file_size)
            return config
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise ImportRefused(f"{path.name} is not a complete Keras file: {error}") from error


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    is_link = (member.external_attr >> 16) & 0o170000 == 0o120000
    if name.is_absolute() or ".." in name.parts or ":" in member.filename or is_link:
        raise ImportRefused(f"{path.name} has a file with the name {member.filename!r}, which leads out of its folder")
    if member.file_size > max(_SMALL_BYTES, _MAX_RATIO * member.compress_size):
        raise ImportRefused(
            f"{path.name}: {member.filename} grows from {member.compress_size:,} to {member.file_size:,} bytes"
            " when it is unpacked, which no real network does"
        )


def _config_of_hdf5(path: Path) -> bytes:
    h5py = _h5py(path)
    with path.open("rb") as file:
        _check_hdf5(path, file, path.stat().st_size)
    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
    if config is None:
        raise ImportRefused(f"{path.name} holds no network, only weights: save the whole model with model.save()")
    return config.encode() if isinstance(config, str) else bytes(config)


def _check_hdf5(path: Path, file: Any, size: int) -> None:
    """Checks that an HDF5 file holds all its data itself, and about as many bytes as the file has."""
    h5py = _h5py(path)
    total = 0
    try:
        with h5py.File(io.BytesIO(file.read()) if not file.seekable() else file, "r") as root:
            for link, item in _items(h5py, root):
                if not isinstance(link, h5py.HardLink):
                    raise ImportRefused(f"{path.name} has a link to other data: save it again with model.save()")
                if isinstance(item, h5py.Dataset):
                    if item.is_virtual or item.external:
                        raise ImportRefused(f"{path.name} has data in other files: save it again with model.save()")
                    total += item.size * item.dtype.itemsize
    except ImportRefused:
        raise
    except Exception as error:  # h5py raises nearly anything for damaged files
        raise ImportRefused(f"{path.name} is damaged: its weights cannot be read") from error
    if total > min(MAX_UNPACKED_BYTES, max(_SMALL_BYTES, _MAX_RATIO * size)):
        raise ImportRefused(f"{path.name} says that it holds {total:,} bytes of weights, and has {size:,} bytes")


def _items(h5py: Any, group: Any) -> Iterator[tuple[Any, Any]]:
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            yield link, None
            continue
        item = group[name]
        yield link, item
        if isinstance(item, h5py.Group):
            yield from _items(h5py, item)


def _check_code(config: Any, *, trust: bool) -> None:
    custom: set[str] = set()
    lambdas: set[str] = set()
    functions = False
    for node in _nodes(config):
        name, module = node.get("class_name"), node.get("module")
        if name == "Lambda":
            layer = node.get("config")
            lambdas.add(str(layer.get("name")) if isinstance(layer, dict) else name)
        elif name == "__lambda__":  # a function of a Lambda layer, or of another one
            functions = True
        elif not _is_of_keras(node, module):
            custom.add(str(node.get("registered_name") or name))
    if custom:
        raise ImportRefused(
            f"the network has layers of its own, whose code is not in the file: {', '.join(sorted(custom))};"
            " export it as a SavedModel (model.export) or as ONNX"
        )
    if (lambdas or functions) and not trust:
        raise ImportRefused(
            "the network has Lambda layers, which are Python code that runs on this machine:"
            f" {', '.join(sorted(lambdas)) or 'without a name'}; pass --trust if you trust the people who made the file"
        )


def _nodes(config: Any) -> Iterator[dict[str, Any]]:
    """Every object of the configuration that names a class."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            yield from _nodes(item)


def _is_of_keras(node: dict[str, Any], module: Any) -> bool:
    registered = node.get("registered_name")
    if isinstance(registered, str) and ">" in registered and not registered.startswith("keras>"):
        return False
    if module is None:  # .h5 files, and what Keras writes for its own types, such as __tuple__
        return registered is None or not isinstance(registered, str) or registered == node["class_name"]
    if module == "builtins":
        return node["class_name"] == "function" and isinstance(node.get("config"), str)
    if not isinstance(module, str):
        return False
    parts = [part for part in module.split(".") if part != "src"]
    if (".".join(parts), node["class_name"]) in _KERAS_CLASSES:
        return True
    return parts[0] == "keras" and (len(parts) == 1 or parts[1] in _KERAS_PACKAGES)


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ImportRefused(
            f"reading {path.name} needs the package tensorflow, which is not installed: use an image or an environment"
            " that has it, or export the network as ONNX"
        ) from error
    return h5py
