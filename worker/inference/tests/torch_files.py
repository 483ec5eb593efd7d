"""Writes files of PyTorch's old format without PyTorch, valid or with one chosen fault."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from worker.inference.repository.torch_weights import MAGIC, PROTOCOL

SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
STORAGES = {"f": "FloatStorage", "i": "LongStorage"}


class Tensor:
    """A tensor with the shape and strides of the array, unless `changes` overrides them."""

    def __init__(self, values: NDArray[Any], **changes: Any) -> None:
        self.values = values
        strides = tuple(step // values.itemsize for step in values.strides)
        self.fields = {"offset": 0, "shape": values.shape, "strides": strides, **changes}

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        fields = self.fields
        arguments: tuple[Any, ...] = (fields["offset"], fields["shape"], fields["strides"], False, OrderedDict())
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (self.values, *arguments)


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return None
        kind = getattr(sys.modules["torch"], STORAGES[value.dtype.kind])
        return ("storage", kind, str(id(value)), "cpu", value.size, None)


def _fake_torch() -> dict[str, types.ModuleType]:
    """Modules that define only the names that a state dictionary refers to."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild() -> None:
        raise NotImplementedError

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    return {"torch": torch, "torch._utils": utils}


def pickled(value: Any) -> bytes:
    file = io.BytesIO()
    with mock.patch.dict(sys.modules, _fake_torch()):
        _Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def torch_file(
    tensors: Mapping[str, Tensor],
    *,
    head: Sequence[Any] = (MAGIC, PROTOCOL, SYSTEM),
    state: bytes | None = None,
) -> bytes:
    """The bytes of a file; `state` replaces the pickled state dictionary."""
    parts = [pickled(value) for value in head]
    parts.append(pickled(OrderedDict(tensors)) if state is None else state)
    parts.append(pickled([str(id(tensor.values)) for tensor in tensors.values()]))
    for tensor in tensors.values():
        parts += [struct.pack("<q", tensor.values.size), tensor.values.tobytes(order="A")]
    return b"".join(parts)
