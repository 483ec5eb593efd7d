"""The processes of a benchmark: started in a clean environment, asked for results, and measured."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import redis

from devtools.processes import running

# The measured processes get only these variables: no settings of a developer, no tuning of libraries.
KEPT = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"})


def clean_environment() -> None:
    """Removes everything from this process's environment that could change the results."""
    for name in set(os.environ) - KEPT:
        del os.environ[name]
    os.environ |= {"ENV_FILE": os.devnull, "TF_CPP_MIN_LOG_LEVEL": "3"}


class BenchProcess:
    """A running program of `stress.bench`, which answers each question with one line of JSON."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid

    def ask(self, **question: Any) -> dict[str, Any]:
        """Returns the answer. Raises `RuntimeError` with the end of the process's log if it died."""
        self.send(**question)
        return self.receive()

    def send(self, **question: Any) -> None:
        """Sends a question without waiting, so that several processes can work at the same time."""
        assert self._process.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # `receive` reports that the process died
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} died:\n{self._log.read_text()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def bench_process(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[BenchProcess]:
    """Runs `python -m stress.bench.<module>`, which calls `serve`."""
    command = [sys.executable, "-m", f"stress.bench.{module}", *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        tempfile.NamedTemporaryFile("w", prefix="bench-", suffix=".log") as log,
        running(command, env=os.environ | (environment or {}), stderr=log, **pipes) as process,
    ):
        yield BenchProcess(process, Path(log.name))


def serve(answer: Callable[..., dict[str, Any]]) -> None:
    """Answers the questions of a `BenchProcess` until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not get between the answers
    for line in sys.stdin:
        replies.write(json.dumps(answer(**json.loads(line))) + "\n")
        replies.flush()


# --- Measuring ------------------------------------------------------------------------------------


def cpu_seconds(processes: Iterable[psutil.Process], *, with_ended_children: bool = False) -> float:
    """Returns the CPU time that these processes have used so far; processes that have ended count as nothing."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
            total += times.children_user + times.children_system if with_ended_children else 0.0
    return total


def server_cpu_seconds(connection: redis.Redis) -> float:
    """Returns the CPU time that the queue server and its children, which rewrite its file, have used so far."""
    used: Mapping[str, Any] = connection.info("cpu")
    names = ("used_cpu_user", "used_cpu_sys", "used_cpu_user_children", "used_cpu_sys_children")
    return sum(float(used[name]) for name in names)


def pss_megabytes(pid: int) -> float:
    """Returns a process's memory in MB (PSS). Memory shared by several processes counts in equal parts."""
    return float(psutil.Process(pid).memory_full_info().pss / 1e6)
