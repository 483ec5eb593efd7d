"""The name of this machine's processor."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Returns a name such as `Intel(R) Xeon(R) Platinum 8488C`, or what the operating system says."""
    try:
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _colon, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()[:200]
    except OSError:
        pass  # not Linux
    return (platform.processor() or platform.machine() or "unknown")[:200]
