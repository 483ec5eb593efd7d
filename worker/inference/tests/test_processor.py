from __future__ import annotations

from pathlib import Path

import pytest

from worker.inference.processor import Processor, this_processor

X86 = """processor\t: 0
model name\t: Some Processor 9
flags\t\t: fpu avx2 avx512f amx_bf16 avx512_bf16

processor\t: 1
model name\t: Another
flags\t\t: avx2
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp bf16 i8mm\n"


@pytest.mark.parametrize(
    ("text", "features"),
    [(X86, ("avx2", "avx512f", "avx512_bf16", "amx_bf16")), (ARM, ("asimddp", "bf16", "i8mm")), ("", ())],
)
def test_reads_the_features_of_the_first_core(tmp_path: Path, text: str, features: tuple[str, ...]) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    found = this_processor(file)
    assert found.features == features
    if text == X86:
        assert found == Processor("Some Processor 9", features)


def test_features_are_unknown_without_cpuinfo(tmp_path: Path) -> None:
    found = this_processor(tmp_path / "nothing")
    assert found.features == ()
    assert found.name
