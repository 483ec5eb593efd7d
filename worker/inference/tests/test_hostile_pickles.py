"""A hostile file of weights calls nothing, changes nothing in the process, and stays within bounds."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worker.inference.repository import WeightsMismatch
from worker.inference.repository.torch_weights import MAX_INSTRUCTIONS, read_tensors
from worker.inference.tests.torch_files import Tensor, torch_file

VALID = torch_file({"x": Tensor(np.arange(6, dtype=np.float32))})


class _Call:
    """Pickles as a call of `function`, which may itself be a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __call__(self) -> None:
        """Pickle requires that a function is callable."""

    def __reduce__(self) -> Any:
        return self.call


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _assert_rejected(state: bytes, match: str | None = None) -> None:
    with pytest.raises(WeightsMismatch, match=match):
        read_tensors(torch_file({}, state=state))


MKDIR = _Call(getattr, _Call(__import__, "os"), "mkdir")
CALLS = {
    "os.mkdir": lambda folder: _Call(os.mkdir, folder),
    "os.system": lambda folder: _Call(os.system, f"mkdir {folder}"),
    "eval": lambda folder: _Call(eval, f"__import__('os').mkdir({folder!r})"),
    "exec": lambda folder: _Call(exec, f"__import__('os').mkdir({folder!r})"),
    "subprocess": lambda folder: _Call(subprocess.check_call, ["mkdir", folder]),
    "getattr chain": lambda folder: _Call(MKDIR, folder),
    "map": lambda folder: _Call(list, _Call(map, MKDIR, [folder])),
    "nested pickle": lambda folder: _Call(pickle.loads, pickle.dumps(_Call(os.mkdir, folder))),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("part", ["head", "state"])
def test_calls_nothing_outside_the_allow_list(tmp_path: Path, name: str, protocol: int, part: str) -> None:
    folder = tmp_path / "harm"
    hostile = pickle.dumps({"x": CALLS[name](str(folder))}, protocol)
    with pytest.raises(WeightsMismatch, match="it asks for|it uses the instruction"):
        read_tensors(hostile if part == "head" else torch_file({}, state=hostile))
    assert not folder.exists()
    pickle.loads(hostile)
    assert folder.exists()  # the pickle is harmful where it is not rejected


@pytest.mark.parametrize(
    "pickled",
    [
        b"(%bios\nmkdir\n.",  # INST
        b"(cos\nmkdir\n%bo.",  # OBJ
        b"\x8c\x02os\x8c\x05mkdir\x93%b\x85R.",  # STACK_GLOBAL
        b"cos\nmkdir\n%b\x85\x81.",  # NEWOBJ
        b"cos\nmkdir\n%b\x85}\x92.",  # NEWOBJ_EX
        b"\x82\x01%b\x85R.",  # EXT1
        b"cos\nsystem\n%b\x85R.",
        b"cos\npath.os.mkdir\n%b\x85R.",
        b"ccollections\nOrderedDict.fromkeys\n%b\x85R.",
        b"ctorch\nos\n%b\x85R.",
    ],
)
def test_no_instruction_reaches_another_function(tmp_path: Path, pickled: bytes) -> None:
    folder = tmp_path / "harm"
    _assert_rejected(b"\x80\x02" + pickled.replace(b"%b", _text(str(folder))), "it asks for|it uses the instruction")
    assert not folder.exists()


ORDERED_DICT = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


@pytest.mark.parametrize("target", [ORDERED_DICT, REBUILD, ORDERED_DICT + b")R", REBUILD + b"(NNNNtR"])
@pytest.mark.parametrize("name", ["__defaults__", "__class__", "__dict__", "__setstate__", "items", "shape"])
@pytest.mark.parametrize("slots", [False, True])
def test_attributes_set_by_a_pickle_do_not_outlive_it(target: bytes, name: str, slots: bool) -> None:
    attributes = b"}" + _text(name) + ORDERED_DICT + b"s"
    _assert_rejected(b"\x80\x02" + target + (b"N" + attributes + b"\x86" if slots else attributes) + b"bN\x86.")
    assert list(read_tensors(VALID)) == ["x"]


@pytest.mark.parametrize(
    "pickled",
    [
        ORDERED_DICT + b"(K\x01K\x02K\x03tR.",
        ORDERED_DICT + b"}\x85R.",  # a copy of a dictionary for a few bytes
        REBUILD + b")R.",
        b"ctorch\nFloatStorage\n)R.",
        b"](h\x00e.",  # a memo index that was never written
        b"\xff.",  # no instruction
        b"N",
        b".",
        b"X\xff\xff\xff",
        b"",
    ],
)
def test_rejects_malformed_pickle(pickled: bytes) -> None:
    _assert_rejected(b"\x80\x02" + pickled)
    _assert_rejected(pickled)


@pytest.mark.parametrize(
    "pickled",
    [
        b"N" + b"\x85" * 300_000 + b"}q\x00.",  # a tuple in a tuple in a tuple ...
        b"}N" + b"\x85" * 300_000 + b"Ns.",  # ... as a key: hashing it overflows the C stack
        b"Nr" + struct.pack("<I", 5_000_000) + b".",  # a memo of 80 MB
        b"Np5000000\n.",
        b"X\xff\xff\xff\x7f.",  # a text of 2 GB
        b"\x8e" + struct.pack("<Q", 2**33) + b".",  # 8 GB of bytes
        b"\x96" + struct.pack("<Q", 2**33) + b".",  # a bytearray of 8 GB
        b"\x8b" + struct.pack("<I", 2**31 - 1) + b".",  # a number of 2 GB
        b"\x95" + struct.pack("<Q", 2**62) + b".",  # a frame
        b"(" * 1_000_000 + b".",
        b"]" * 1_000_000 + b".",
    ],
)
def test_rejects_exhausting_pickle_with_little_memory(pickled: bytes) -> None:
    tracemalloc.start()
    try:
        _assert_rejected(b"\x80\x02" + pickled)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_hashes_the_deepest_key_within_the_bounds() -> None:
    depth = MAX_INSTRUCTIONS - 20
    _assert_rejected(b"\x80\x02}N" + b"\x85" * depth + b"Ns.", "something other than named tensors")
    # as part of a persistent id
    _assert_rejected(b"\x80\x02(" + _text("storage") + b"N" + b"\x85" * depth + b"NNNNtQ.", "refers to a storage")
