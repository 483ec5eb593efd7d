"""The whole system under measurement: its processes by role."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil

from devtools.running import RunningSite, eventually
from stress.bench.processes import cpu_seconds, pss_megabytes

# A part of the command line, and the role of its process. All others are the supervisor and `manage.py up`.
ROLES = {"rqworker": "worker", "granian": "web", "valkey-server": "queue"}
NAMES = ("web", "worker", "queue", "supervisor")

IDLE_CORES = 0.1  # that all processes together use for heartbeats and the like
SETTLE_SECONDS = 120


class SiteProcesses:
    """A snapshot of a site's processes, by role. It does not include processes that start later."""

    def __init__(self, site: RunningSite, roles: Mapping[str, str] = ROLES) -> None:
        up = psutil.Process(site.process.pid)
        self._roles = roles
        self.by_role: dict[str, list[psutil.Process]] = {name: [] for name in (*roles.values(), "supervisor")}
        self.by_role["supervisor"].append(up)
        for child in up.children():
            self._add(child, "supervisor")

    def _add(self, process: psutil.Process, role: str) -> None:
        command = " ".join(process.cmdline())
        # A child of the web server also belongs to the web server.
        if role == "supervisor":
            role = next((found for part, found in self._roles.items() if part in command), role)
        self.by_role[role].append(process)
        for child in process.children():
            self._add(child, role)

    def pids(self) -> set[int]:
        return {process.pid for processes in self.by_role.values() for process in processes}

    def cpu_seconds(self) -> dict[str, float]:
        return {role: cpu_seconds(processes) for role, processes in self.by_role.items()}

    def pss_megabytes(self) -> dict[str, float]:
        return {role: sum(pss_megabytes(process.pid) for process in found) for role, found in self.by_role.items()}

    def wait_until_idle(self) -> None:
        """Waits until requests that outlived the load are done. Raises `AssertionError` if that takes minutes."""
        eventually(self._is_idle, "the end of the requests after a load", SETTLE_SECONDS)

    def _is_idle(self) -> bool:
        before = sum(self.cpu_seconds().values())
        time.sleep(0.5)
        return sum(self.cpu_seconds().values()) - before <= 0.5 * IDLE_CORES
