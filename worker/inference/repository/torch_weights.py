"""Read the tensors of a PyTorch file of the old format (before PyTorch 1.6), without PyTorch.

The file is, one after the other: three pickles (magic number, protocol version, system information), the
pickled state dictionary, whose tensors name their storages by key, a pickled list of these keys, and for
each key the number of elements (int64) and the raw little-endian elements.

The pickles are read by `data_pickle`, which runs nothing: a hostile file is refused.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from worker.inference.repository.data_pickle import ForbiddenPickle, Global, load
from worker.inference.repository.errors import WeightsMismatch

MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
PROTOCOL = 1001  # torch.serialization.PROTOCOL_VERSION

_DTYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
}


class _Storage(NamedTuple):
    """What a persistent id says: the elements are under `key` at the end of the file."""

    dtype: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """The arguments of torch._utils._rebuild_tensor_v2 that matter; nothing in here is trusted yet."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


def _persistent(identity: Any) -> _Storage:
    match identity:
        case ("storage", Global(dtype), str(key), str(), int(length), None) if dtype in _DTYPES:
            return _Storage(dtype, key, length)
    raise ForbiddenPickle("it refers to a storage in a way that is not known")


def _not_called(*_: Any) -> Any:
    raise ForbiddenPickle("it calls a type of storage")


# What stands for the only names that a state dictionary needs.
_CALLS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": lambda: {},
    "torch._utils _rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: _Tensor(
        storage, offset, shape, strides
    ),
    **dict.fromkeys(_DTYPES, _not_called),
}


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a state dictionary by name, each a contiguous float32 or int64 array.

    Raises:
        WeightsMismatch: `data` is anything else than a complete file of the old format.
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
        if not isinstance(tensor, _Tensor):
            raise WeightsMismatch("the PyTorch file holds something else than named tensors")
        if not isinstance(tensor.storage, _Storage):
            raise WeightsMismatch(f"the tensor {name!r} has no storage")
    storages = _read_storages(file, keys, {t.storage.key: t.storage for t in state.values()})
    return {name: _strided(name, tensor, storages) for name, tensor in state.items()}


def _unpickle(file: io.BytesIO) -> Any:
    try:
        return load(file, calls=_CALLS, persistent=_persistent)
    except ForbiddenPickle as error:
        raise WeightsMismatch(f"not a PyTorch file of the old format: {error}") from error


def _read_storages(file: io.BytesIO, keys: list[Any], expected: Mapping[str, _Storage]) -> dict[str, NDArray[Any]]:
    storages: dict[str, NDArray[Any]] = {}
    for key in keys:
        storage = expected.get(key) if isinstance(key, str) else None
        if storage is None or key in storages:
            raise WeightsMismatch("the PyTorch file lists storages that no tensor uses, or one twice")
        head = file.read(8)
        count = struct.unpack("<q", head)[0] if len(head) == 8 else storage.length
        if count != storage.length:
            raise WeightsMismatch(f"storage {key} has {count} elements, its tensor says {storage.length}")
        dtype = _DTYPES[storage.dtype]
        # max: a read of less than nothing reads the whole file
        raw = file.read(max(0, count * dtype.itemsize))
        if count < 0 or len(raw) != count * dtype.itemsize:
            raise WeightsMismatch(f"the PyTorch file is truncated: storage {key} is not complete")
        storages[key] = np.frombuffer(raw, dtype)
    if file.read(1):
        raise WeightsMismatch("the PyTorch file goes on after its last storage")
    return storages


def _strided(name: str, tensor: _Tensor, storages: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Copy a tensor out of its storage; offset and strides count elements, as PyTorch's do.

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
    # A stride of 0 could make a giant of a small storage; no weights repeat themselves.
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
