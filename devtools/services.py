"""PostgreSQL, Redis and Valkey servers, with temporary data.

`python -m devtools.services [pytest's arguments]` runs all tests on them, instead of on SQLite and the embedded Valkey
(`make test-services`).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from devtools.processes import exit_on_signals, running
from devtools.running import ROOT, free_port
from mlsite import embedded_valkey

START_SECONDS = 60
MAX_PROCESSES = 4  # of pytest-xdist, as in the Makefile
DATABASE = "mlsite"


class ServerNotInstalled(RuntimeError):
    """A server's programs are missing. The message says how to install them."""


@dataclass(frozen=True)
class PostgresServer:
    """`url` names an empty database. Each connection has a process, a child of `pid`."""

    url: str
    pid: int


# Each thread of a web server keeps a connection for a minute, and the sites of several test processes share a server.
MAX_CONNECTIONS = "1000"


@contextlib.contextmanager
def postgresql(**settings: str) -> Iterator[PostgresServer]:
    """Runs a PostgreSQL server with these settings. Raises `ServerNotInstalled` if it is not installed."""
    programs = _postgresql_programs()
    user = _unprivileged_user()
    password, port = secrets.token_hex(16), free_port()
    with _folder("postgresql") as folder:
        password_file = folder / "password"
        password_file.write_text(password)
        if user is not None:
            for path in (folder, password_file):
                shutil.chown(path, user)
        data = ["-D", str(folder / "data")]
        options = ["-U", DATABASE, "--pwfile", str(password_file), "--auth=scram-sha-256", "--encoding=UTF8"]
        initdb = [str(programs / "initdb"), *data, *options, "--no-sync"]
        subprocess.run(initdb, cwd=folder, user=user, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        settings |= {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        settings.setdefault("max_connections", MAX_CONNECTIONS)
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        url = f"postgres://{DATABASE}:{password}@127.0.0.1:{port}"
        # SIGINT is PostgreSQL's "fast shutdown", which does not wait for connected clients.
        with _server([str(programs / "postgres"), *data, *words], folder, user=user, stop_signal=signal.SIGINT) as pid:
            _until(lambda: psycopg.connect(f"{url}/postgres").close(), psycopg.OperationalError, "PostgreSQL")
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            yield PostgresServer(f"{url}/{DATABASE}", pid)


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Runs Redis, or else Valkey, without persistence. Yields its URL. May raise `ServerNotInstalled`."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise ServerNotInstalled("needs Redis or Valkey; on Debian and Ubuntu: apt install redis-server")
    port = free_port()
    with _folder("redis") as folder:
        options = {"bind": "127.0.0.1", "port": str(port), "save": "", "appendonly": "no", "dir": str(folder)}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        url = f"redis://127.0.0.1:{port}/0"
        with _server([program, *words], folder):
            _until(lambda: redis.Redis.from_url(url).ping(), redis.ConnectionError, "the queue server")
            yield url


@contextlib.contextmanager
def embedded_queue(data_dir: Path) -> Iterator[str]:
    """Runs the queue server as `manage.py up` does, with its data in this folder. Yields its URL."""
    url = f"unix://{embedded_valkey.socket_path(data_dir)}"
    with running(embedded_valkey.command(data_dir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        _until(lambda: redis.Redis.from_url(url).ping(), redis.ConnectionError, "the queue server")
        yield url


def _postgresql_programs() -> Path:
    """Returns the folder of PostgreSQL's programs. Debian installs each version in a folder outside the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not on_path and not debian:
        raise ServerNotInstalled("needs PostgreSQL; on Debian and Ubuntu: apt install postgresql")
    return debian[-1].parent if debian else Path(str(on_path)).resolve().parent


def _unprivileged_user() -> str | None:
    """Returns the user to run PostgreSQL as, because it refuses to run as root. `None`: the current user."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as path:
        yield Path(path)


@contextlib.contextmanager
def _server(
    command: Sequence[str], folder: Path, *, user: str | None = None, stop_signal: signal.Signals = signal.SIGTERM
) -> Iterator[int]:
    """Runs a server and yields its process id. Shows the end of its log if anything fails meanwhile."""
    log = folder / "server.log"
    with log.open("wb") as output:
        options = {"cwd": folder, "user": user, "stdout": output, "stderr": subprocess.STDOUT}
        with running(command, stop_signal=stop_signal, **options) as process:
            try:
                yield process.pid
            except Exception:
                sys.stderr.write(log.read_text()[-2000:])
                raise


def _until(attempt: Callable[[], object], not_yet: type[Exception], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            attempt()
            return
        except not_yet as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} does not answer: {error}") from error
            time.sleep(0.1)


def main(arguments: list[str]) -> int:
    """Runs pytest with these arguments, and returns its exit code."""
    exit_on_signals()
    try:
        with contextlib.ExitStack() as stack:
            database = stack.enter_context(postgresql(fsync="off"))
            redis_urls = [stack.enter_context(redis_server()) for _ in range(MAX_PROCESSES)]
            servers = {"TEST_REDIS_URL": redis_urls[0], "TEST_REDIS_URLS": " ".join(redis_urls)}
            environment = os.environ | {"TEST_DATABASE_URL": database.url} | servers
            command = [sys.executable, "-m", "pytest", *arguments]
            with subprocess.Popen(command, cwd=ROOT, env=environment) as tests:  # noqa: S603 - our own command line
                try:
                    return tests.wait()
                except BaseException:
                    tests.terminate()
                    raise
    except ServerNotInstalled as error:
        sys.exit(f"make: {error}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
