"""The processor of this machine, as far as the speed of a network depends on it."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

# The instructions that engines choose their kernels by: those of x86, then those of ARM.
FEATURES = (
    *("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"),
    *("asimddp", "asimdhp", "bf16", "i8mm", "sve", "sve2"),
)


@dataclass(frozen=True)
class Processor:
    """A kind of processor. Virtual machines often hide the exact model, so the features are a part of it."""

    name: str
    features: tuple[str, ...]


def this_processor(cpuinfo: Path = CPUINFO) -> Processor:
    """Returns the processor of this machine. Outside Linux, its features are unknown and empty."""
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        text = ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    present = set(flags[1].split()) if flags else set()
    return Processor(
        name[1].strip() if name else platform.processor() or platform.machine(),
        tuple(feature for feature in FEATURES if feature in present),
    )
