"""A PostgreSQL server of our own, with the settings that it comes with, for as long as a benchmark needs it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from stress.bench.processes import cpu_seconds, running

START_SECONDS = 60
CONNECTIONS = 500  # as in docker-compose.yml: each thread of the web server that asks the database holds one


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    def processes(self) -> list[psutil.Process]:
        """The server, and one for each connection."""
        server = psutil.Process(self.pid)
        return [server, *server.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Also of the processes of connections that are closed by now, whose time the server has taken over."""
        gone = psutil.Process(self.pid).cpu_times()
        return cpu_seconds(self.processes()) + gone.children_user + gone.children_system


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Server | None]:
    """`folder` is for its data, and empty. `None` where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        yield None
        return
    user = _account(folder)
    subprocess.run(  # noqa: S603 - our own command line
        [programs / "initdb", "-D", folder / "data", "-U", "bench", "-A", "trust", "-E", "UTF8"],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
    )
    port = _free_port()
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", f"max_connections={CONNECTIONS}"]
    server = [str(programs / "postgres"), "-D", str(folder / "data"), *options]
    with running(server, stderr=subprocess.DEVNULL, user=user) as process:
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", str(START_SECONDS)]
        subprocess.run(["sh", "-c", f"until {' '.join(ready)}; do sleep 0.1; done"], check=True, timeout=START_SECONDS)  # noqa: S603, S607
        yield Server(f"postgres://bench@127.0.0.1:{port}/postgres", process.pid)


def _programs() -> Path | None:
    """The folder with PostgreSQL's programs: the newest that Debian has, or the one on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _account(folder: Path) -> str | None:
    """Who runs PostgreSQL, which refuses to run as root: then it is the user that its package has made."""
    if os.geteuid() != 0:
        return None
    account = pwd.getpwnam("postgres")
    folder.parent.chmod(0o755)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return account.pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
