"""Calls functions that handle a network from outside, in a process of their own and with a time limit.

A damaged or hostile network can crash the libraries that read and run it, make them use all memory, or compute for
ever. Then only that process ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from worker.inference.graph.errors import reason
from worker.inference.importing.errors import ImportRefused
from worker.inference.repository.errors import RepositoryError
from worker.inference.repository.files import disk_errors, is_disk_full

SILENT_SECONDS = 600.0

Report = Callable[[str], None]
Result = TypeVar("Result")


def report_nothing(line: str) -> None:
    """No-op progress callback."""


def call_in_a_process(function: Callable[[Report], Result], *, name: str, report: Report = report_nothing) -> Result:
    """Returns `function(report)`, which a new process computes. The process ends with this call, however it ends.

    It is ended earlier if it reports nothing for `SILENT_SECONDS`.

    Args:
        function: it and what it returns can be pickled.
        name: the file of the network, for messages.
        report: called with each line that the function reports.

    Raises:
        ImportRefused: the function raised an error, the process died, or the time is over; the message says why.
        OSError: the disk is full.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, function, name))
    try:
        with _blocked_interrupts():
            process.start()
        sender.close()
        while True:
            kind, value = _next_message(receiver, name)
            if kind == "result":
                result: Result = value
                return result
            if kind == "refused":
                raise ImportRefused(value)
            if kind == "disk":
                raise OSError(value, os.strerror(value))
            report(value)
    except EOFError as error:
        process.join()
        raise ImportRefused(_died(name, process.exitcode)) from error
    finally:
        if process.ident is not None:
            process.kill()
            process.join()
        receiver.close()


@contextlib.contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """A process that is started in the block ignores Ctrl-C: this process ends it, and reports it."""
    resource_tracker.ensure_running()  # would otherwise be started in the block, and unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _next_message(receiver: Connection, name: str) -> tuple[str, Any]:
    if not receiver.poll(SILENT_SECONDS):
        raise ImportRefused(
            f"{name} cannot be used: reading it or running it takes longer than {SILENT_SECONDS / 60:g} minutes"
        )
    message: tuple[str, Any] = receiver.recv()
    return message


def _died(name: str, code: int | None) -> str:
    if code == -signal.SIGKILL:
        return f"{name} cannot be read: the process that read it was killed, probably because memory was short"
    return f"{name} cannot be read: it is damaged, and crashed the library that reads it (exit code {code})"


# --- The process ---------------------------------------------------------------------------------


def _run(sender: Connection, function: Callable[[Report], Any], name: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _silence()
    sender.send(_outcome(function, name, lambda line: sender.send(("line", line))))


def _outcome(function: Callable[[Report], Any], name: str, report: Report) -> tuple[str, Any]:
    try:
        with disk_errors():
            return "result", function(report)
    except RepositoryError as error:
        return "refused", str(error)
    except Exception as error:  # noqa: BLE001 - OpenVINO, Keras and their libraries raise nearly anything
        if is_disk_full(error):
            return "disk", error.errno
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            return "refused", f"{name} needs more memory than this machine has"
        return "refused", f"{name} cannot be used: {reason(error)}"


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _silence() -> None:
    """Discards what native libraries print: the reports say what matters."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
