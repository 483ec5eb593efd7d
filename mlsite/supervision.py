"""Runs several programs under supervisord: restarts with back-off, ordered stop, rotated logs."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlsite import child_process

# A death in supervisord's log. Neither its events nor its XML-RPC interface tell which signal ended a process: an
# EXITED event has no exit status at all, and `exitstatus` is -1 for each signal.
_DIED = re.compile(r"exited: (?P<name>\S+) \((?P<how>.*); not expected\)")


@dataclass(frozen=True)
class Program:
    """One process to keep running.

    A program with a lower `priority` starts earlier and stops later. Those with the same priority stop together.
    """

    name: str
    command: list[str]
    priority: int
    stop_seconds: int = 10  # from SIGTERM to SIGKILL


def configuration(programs: Iterable[Program], *, folder: Path, log_folder: Path) -> str:
    """A supervisord configuration for these programs, run from `folder`."""
    programs = list(programs)
    sections = [
        "[supervisord]\n"
        "nodaemon=true\n"
        "silent=true\n"  # logs to its file only: if we are killed, a pipe to us would break and end it
        f"logfile={_escaped(log_folder / 'supervisord.log')}\n"
        "umask=077\n"
        f"pidfile={_escaped(log_folder / 'supervisord.pid')}\n"
    ]
    for program in programs:
        sections.append(
            f"[program:{program.name}]\n"
            f"command={_escaped(shlex.join(child_process.command(program.command)))}\n"
            f"directory={_escaped(folder)}\n"
            f"priority={program.priority}\n"
            # The delay before a restart grows by a second while a program lives for less than two seconds.
            "autorestart=true\n"
            "startsecs=2\n"
            "startretries=1000000\n"
            f"stopwaitsecs={program.stop_seconds}\n"
            "killasgroup=true\n"
            "redirect_stderr=true\n"
            f"stdout_logfile={_escaped(log_folder / program.name)}.log\n"
            "stdout_logfile_maxbytes=10MB\n"
            "stdout_logfile_backups=3\n"
        )
    # supervisord stops one group after another.
    for priority in sorted({program.priority for program in programs}):
        names = ",".join(program.name for program in programs if program.priority == priority)
        sections.append(f"[group:priority-{priority}]\nprograms={names}\npriority={priority}\n")
    return "\n".join(sections)


class Supervisor:
    """A running supervisord and the programs under it. On Linux, each of them ends when its parent is killed.

    supervisord keeps `lock`, a locked file, open: it stays locked until all programs have stopped, even if this process
    is killed. The file names supervisord's process.
    """

    def __init__(self, configuration_file: Path, log_file: Path, environment: Mapping[str, str], lock: IO[str]) -> None:
        log_file.touch()
        self._log = log_file.open(errors="replace")
        self._log.seek(0, os.SEEK_END)
        self._process = subprocess.Popen(  # noqa: S603 - our own command line
            child_process.command(
                [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(configuration_file)]
            ),
            env={**environment, **child_process.environment_of_child()},
            stdin=lock,  # supervisord closes files with a higher number, and reads nothing
            stdout=subprocess.DEVNULL,
            # It writes a traceback for each line that it cannot log: on a full disk, thousands a minute.
            stderr=subprocess.DEVNULL,
            # Ctrl-C signals all processes of the terminal. Only we handle it, and stop the programs in order.
            start_new_session=True,
        )
        lock.truncate(0)
        lock.write(str(self._process.pid))
        lock.flush()

    def deaths(self) -> Iterator[tuple[str, str]]:
        """Yields (name, how it ended) for each program that ended unexpectedly since the last call."""
        for line in self._log:
            if died := _DIED.search(line):
                yield died["name"], died["how"]

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Stops all programs, the last started first, and waits until they have ended."""
        with self._log, contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        self._process.wait()


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")
