from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.repository import WeightsMismatch
from worker.inference.repository.torch_weights import MAGIC, PROTOCOL, read_tensors
from worker.inference.tests.torch_files import SYSTEM, Tensor, pickled, torch_file

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_tensors_come_back_with_shape_and_type() -> None:
    count = np.array(7, np.int64)
    tensors = read_tensors(torch_file({"fc.weight": Tensor(MATRIX), "count": Tensor(count)}))
    assert list(tensors) == ["fc.weight", "count"]
    np.testing.assert_array_equal(tensors["fc.weight"], MATRIX)
    assert tensors["fc.weight"].dtype == np.float32
    assert tensors["count"] == 7
    assert tensors["count"].shape == ()


def test_strides_are_honoured() -> None:
    transposed = np.asfortranarray(MATRIX)
    assert transposed.strides == (4, 8)
    read = read_tensors(torch_file({"x": Tensor(transposed)}))["x"]
    np.testing.assert_array_equal(read, MATRIX)
    assert read.flags.c_contiguous


def test_an_offset_is_honoured() -> None:
    part = Tensor(MATRIX.ravel(), offset=2, shape=(2, 2), strides=(1, 2))
    np.testing.assert_array_equal(read_tensors(torch_file({"x": part}))["x"], [[2, 4], [3, 5]])


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": 1},
        {"offset": -1},
        {"offset": None},
        {"offset": "0"},
        {"shape": (3, 3)},
        {"shape": (2, 2), "strides": (5, 1)},
        {"shape": (6,)},
        {"shape": (-2, 3)},
        {"shape": [2, 3]},
        {"shape": (10**9,), "strides": (0,)},
        {"shape": (2**62, 2**62), "strides": (0, 0)},
        {"shape": (1,) * 40, "strides": (1,) * 40},
        {"strides": (-3, 1)},
        {"strides": (2**80, 1)},
    ],
)
def test_a_tensor_outside_its_storage_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsMismatch, match="the tensor 'x'"):
        read_tensors(torch_file({"x": Tensor(MATRIX, **changes)}))


def test_a_truncated_file_is_refused_wherever_it_ends() -> None:
    data = torch_file({"x": Tensor(MATRIX), "y": Tensor(np.array(7))})
    for end in range(len(data)):
        with pytest.raises(WeightsMismatch):
            read_tensors(data[:end])
    with pytest.raises(WeightsMismatch, match="goes on after its last storage"):
        read_tensors(data + b"\0")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ((MAGIC + 1, PROTOCOL, SYSTEM), "wrong magic number"),
        ((MAGIC, 1002, SYSTEM), "wrong magic number or protocol"),
        ((MAGIC, PROTOCOL, {"little_endian": False}), "little-endian"),
        ((MAGIC, PROTOCOL, [1]), "little-endian"),
    ],
)
def test_another_format_is_refused(head: tuple[Any, ...], message: str) -> None:
    with pytest.raises(WeightsMismatch, match=message):
        read_tensors(torch_file({"x": Tensor(MATRIX)}, head=head))


@pytest.mark.parametrize("state", [["x"], {"x": 1}, {"x": {"y": Tensor(MATRIX)}}, {1: Tensor(MATRIX)}, None, "x"])
def test_another_content_is_refused(state: Any) -> None:
    with pytest.raises(WeightsMismatch):
        read_tensors(torch_file({}, state=pickled(state)))


class _Runs:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("place", ["head", "state"])
@pytest.mark.parametrize("function", [os.mkdir, os.system, eval, exec, Path, getattr])
def test_a_hostile_pickle_runs_nothing(tmp_path: Path, function: Any, place: str) -> None:
    target = tmp_path / "harm"
    argument = {os.system: f"mkdir {target}", eval: f"__import__('os').mkdir({str(target)!r})"}
    hostile = pickle.dumps({"x": _Runs(function, argument.get(function, str(target)))}, protocol=2)
    data = hostile if place == "head" else torch_file({}, state=hostile)
    with pytest.raises(WeightsMismatch, match="it asks for"):
        read_tensors(data)
    assert not target.exists()


@pytest.mark.parametrize(
    "state",
    [
        b"\x80\x02N" + b"\x85" * 300_000 + b"}q\x00.",  # a tuple in a tuple in a tuple ...
        b"\x80\x02}N" + b"\x85" * 300_000 + b"Ns.",  # ... as a key, whose hash overflows the stack
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo of 2 billion places
        b"\x80\x02X\xff\xff\xff\xffa.",  # a text of 4 GB
        b"\x80\x02" + b"(" * 100_000 + b".",
        b"\x80\x02](h\x00e.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ccollections\nOrderedDict\n(I1\nI2\nI3\ntR.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"",
    ],
)
def test_a_pickle_that_would_exhaust_the_machine_is_refused(state: bytes) -> None:
    with pytest.raises(WeightsMismatch):
        read_tensors(torch_file({}, state=state))


VALID = torch_file({"x": Tensor(MATRIX), "y": Tensor(np.array(7))})


@given(st.data())
def test_a_file_changed_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    changed = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_tensors(bytes(changed))
    except WeightsMismatch as error:
        assert "\n" not in str(error)


@given(st.binary())
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WeightsMismatch):
        read_tensors(data)
