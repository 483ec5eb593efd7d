"""How many CPU cores this process may use, which is often fewer than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """The cores this process may run on, within the CPU limit of its container; at least 1.

    A limit of one and a half cores counts as two: one thread would leave half a core idle.
    """
    limit = _container_limit(cgroup)
    return max(1, scheduled_cores() if limit is None else min(scheduled_cores(), math.ceil(limit)))


def scheduled_cores() -> int:
    """The cores that the operating system may run this process on, without regard to a container's CPU limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _container_limit(cgroup: Path) -> float | None:
    """The container's CPU limit in cores (`cpu.max` of cgroup v2, quota / period of v1), or None without a limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return limit if limit > 0 else None
