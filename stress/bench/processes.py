"""The processes that a benchmark starts: begun, asked, measured, and stopped by their ids whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil
import redis

from mlsite import embedded_valkey

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
STOP_SECONDS = 10

# Nothing else of the environment reaches what is measured: no settings of a developer's shell, no tuning of libraries.
KEPT = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"})


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exit_on_signals() -> None:
    """Ends this process by `SystemExit` when it is told to stop: what it has started is stopped on the way out."""
    for number in STOPPING:
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    for other in STOPPING:  # a second signal must not interrupt the stopping
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def clean_environment() -> None:
    """Takes everything out of this process's environment that could change what is measured."""
    for name in set(os.environ) - KEPT:
        del os.environ[name]
    os.environ |= {"ENV_FILE": os.devnull, "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextlib.contextmanager
def running(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process, started in the project's folder; it and its children are gone afterwards."""
    # A session of its own: a Ctrl-C in the terminal reaches us only, and we stop what we started.
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, text=True, **options)  # noqa: S603
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and SIGKILL for whatever is left of it and its children after a while."""
    family = _children(process.pid)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what is still in the pipe's buffer, nobody reads any more
                pipe.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@contextlib.contextmanager
def valkey(data_dir: Path) -> Iterator[str]:
    """The queue server as `manage.py up` starts it, in a folder of its own. Its address."""
    with running(embedded_valkey.command(data_dir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        address = f"unix://{embedded_valkey.socket_path(data_dir)}"
        connection = redis.Redis.from_url(address)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connection.ping()
                break
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        connection.close()
        yield address


def server_cpu_seconds(connection: redis.Redis) -> float:
    """CPU time that the server has used so far, with that of its children, which rewrite its file."""
    used: Mapping[str, Any] = connection.info("cpu")
    names = ("used_cpu_user", "used_cpu_sys", "used_cpu_user_children", "used_cpu_sys_children")
    return sum(float(used[name]) for name in names)


class Contender:
    """A program of `stress.bench` in a process of its own, which answers each question with one line of JSON."""

    def __init__(self, process: subprocess.Popen[str], complaints: Path) -> None:
        self._process = process
        self._complaints = complaints
        self.pid = process.pid

    def ask(self, **question: Any) -> dict[str, Any]:
        """Its answer. Raises `RuntimeError` with what it complained of, if it died."""
        self.send(**question)
        return self.receive()

    def send(self, **question: Any) -> None:
        """Gives it the question; several of them work at the same time until `receive` is called of each."""
        assert self._process.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # `receive` says what it died of
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} died:\n{self._complaints.read_text()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def contender(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Contender]:
    """The module `stress.bench.<module>`, which calls `serve`, in a process of its own."""
    command = [sys.executable, "-m", f"stress.bench.{module}", *arguments]
    with (
        tempfile.NamedTemporaryFile("w", prefix="bench-", suffix=".log") as complaints,
        running(
            command,
            env=os.environ | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        yield Contender(process, Path(complaints.name))


def serve(answer: Callable[..., dict[str, Any]]) -> None:
    """In a contender: answers one question after the other until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    for line in sys.stdin:
        replies.write(json.dumps(answer(**json.loads(line))) + "\n")
        replies.flush()


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU time that these processes and their threads have used so far; those that are gone count as nothing."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def pss_megabytes(pid: int) -> float:
    """Memory in MB, where what several processes share counts for each with its share."""
    return float(psutil.Process(pid).memory_full_info().pss / 1e6)
