from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.inference.repository import WeightsMismatch, torch_weights
from worker.inference.repository.torch_weights import MAGIC, PROTOCOL, read_file, read_tensors
from worker.inference.tests.torch_files import SYSTEM, Tensor, pickled, torch_file

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_reads_shape_and_dtype() -> None:
    count = np.array(7, np.int64)
    tensors = read_tensors(torch_file({"fc.weight": Tensor(MATRIX), "count": Tensor(count)}))
    assert list(tensors) == ["fc.weight", "count"]
    np.testing.assert_array_equal(tensors["fc.weight"], MATRIX)
    assert tensors["fc.weight"].dtype == np.float32
    assert tensors["count"] == 7
    assert tensors["count"].shape == ()


def test_applies_strides() -> None:
    transposed = np.asfortranarray(MATRIX)
    assert transposed.strides == (4, 8)
    read = read_tensors(torch_file({"x": Tensor(transposed)}))["x"]
    np.testing.assert_array_equal(read, MATRIX)
    assert read.flags.c_contiguous


def test_applies_offset() -> None:
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
def test_rejects_tensor_outside_its_storage(changes: dict[str, Any]) -> None:
    with pytest.raises(WeightsMismatch, match="the tensor 'x'"):
        read_tensors(torch_file({"x": Tensor(MATRIX, **changes)}))


def test_rejects_file_truncated_anywhere() -> None:
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
def test_rejects_other_format(head: tuple[Any, ...], message: str) -> None:
    with pytest.raises(WeightsMismatch, match=message):
        read_tensors(torch_file({"x": Tensor(MATRIX)}, head=head))


def test_rejects_tensors_that_share_a_storage() -> None:
    with pytest.raises(WeightsMismatch, match="share a storage"):
        read_tensors(torch_file({"x": Tensor(MATRIX), "y": Tensor(MATRIX)}))


def test_rejects_a_large_file_before_reading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(VALID)
    assert list(read_file(path)) == ["x", "y"]
    monkeypatch.setattr(torch_weights, "MAX_FILE_BYTES", len(VALID) - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("the file was read"))
    with pytest.raises(WeightsMismatch, match="weights.pth has more than"):
        read_file(path)


@pytest.mark.parametrize("state", [["x"], {"x": 1}, {"x": {"y": Tensor(MATRIX)}}, {1: Tensor(MATRIX)}, None, "x"])
def test_rejects_other_content(state: Any) -> None:
    with pytest.raises(WeightsMismatch):
        read_tensors(torch_file({}, state=pickled(state)))


VALID = torch_file({"x": Tensor(MATRIX), "y": Tensor(np.array(7))})


@given(st.data())
def test_changed_bytes_raise_nothing_but_weights_mismatch(data: st.DataObject) -> None:
    changed = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_tensors(bytes(changed))
    except WeightsMismatch as error:
        assert "\n" not in str(error)


@given(st.binary())
def test_rejects_random_bytes(data: bytes) -> None:
    with pytest.raises(WeightsMismatch):
        read_tensors(data)
