"""Processes that are stopped by their ids, even if the program that started them fails or is interrupted."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

import psutil

from devtools.running import ROOT

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOP_SECONDS = 30


def exit_on_signals() -> None:
    """Makes the signals that stop a program raise `SystemExit`, so that context managers stop what they started."""
    for number in STOPPING:
        signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    for other in STOPPING:  # a second signal must not interrupt the stopping
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


@contextlib.contextmanager
def running(
    command: Sequence[str], *, stop_signal: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Runs a process in the project's folder. Stops it and its children on leaving."""
    # In a new session, so that Ctrl-C in the terminal reaches only this program.
    options = {"cwd": ROOT, **options}
    process = subprocess.Popen(command, start_new_session=True, text=True, **options)  # noqa: S603
    try:
        yield process
    finally:
        _stop(process, stop_signal)


def _stop(process: subprocess.Popen[str], stop_signal: signal.Signals) -> None:
    """Sends the signal, and later SIGKILL to the process and its children if they still run."""
    left = family(process.pid)[1:]
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # unread output is still in the pipe's buffer
                pipe.close()
    if process.poll() is None:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for child in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def family(pid: int) -> list[psutil.Process]:
    """Returns a process and all of its descendants, or nothing if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
