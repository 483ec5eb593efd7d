"""Runs all tests on PostgreSQL and Redis (or Valkey) instead of SQLite and the embedded Valkey (`make test-services`).

Both are started here, from Debian's packages, on free ports and with data of their own, and stopped whatever happens.
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
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import psycopg
import redis

from devtools.running import ROOT, free_port

START_SECONDS = 60
STOP_SECONDS = 30
DATABASE = "mlsite"


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The URL of a server whose data are in `folder`."""
    programs = _postgresql_programs()
    user = _unprivileged_user()
    data, password = folder / "postgresql", secrets.token_hex(16)
    data.mkdir()
    password_file = folder / "password"
    password_file.write_text(password)
    if user is not None:
        for path in (data, password_file):
            shutil.chown(path, user)
    options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
    subprocess.run(  # noqa: S603 - our own command line
        [str(programs / "initdb"), "-D", str(data), "-U", DATABASE, "--pwfile", str(password_file), *options],
        cwd=folder,
        user=user,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    port = free_port()
    # What a power cut would do to these data is nobody's concern.
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    url = f"postgres://{DATABASE}:{password}@127.0.0.1:{port}"
    # SIGINT is its "fast shutdown": it does not wait for clients that stay connected.
    with _running([str(programs / "postgres"), "-D", str(data), *options], folder, user, signal.SIGINT):
        _until(lambda: psycopg.connect(f"{url}/postgres").close(), psycopg.OperationalError, "PostgreSQL")
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        yield f"{url}/{DATABASE}"


@contextlib.contextmanager
def queue_server(folder: Path) -> Iterator[str]:
    """The URL of a Redis, or where there is none of a Valkey, that keeps nothing."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        sys.exit("make: needs Redis or Valkey; on Debian and Ubuntu: apt install redis-server")
    port = free_port()
    options = {"bind": "127.0.0.1", "port": str(port), "save": "", "appendonly": "no", "dir": str(folder)}
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    url = f"redis://127.0.0.1:{port}/0"
    with _running([program, *arguments], folder, None, signal.SIGTERM):
        _until(lambda: redis.Redis.from_url(url).ping(), redis.ConnectionError, "the queue server")
        yield url


def _postgresql_programs() -> Path:
    """The folder with PostgreSQL's programs, which Debian keeps off the path, one for each version: the newest."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not on_path and not debian:
        sys.exit("make: needs PostgreSQL; on Debian and Ubuntu: apt install postgresql")
    return debian[-1].parent if debian else Path(str(on_path)).resolve().parent


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root. `None`: we are not root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def _running(command: list[str], folder: Path, user: str | None, stop_signal: signal.Signals) -> Iterator[None]:
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the tests, which still need the servers while they end.
        process = subprocess.Popen(  # noqa: S603 - our own command line
            command, cwd=folder, user=user, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield
    except BaseException:
        sys.stderr.write(log.read_text()[-2000:])
        raise
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    """Runs pytest with these arguments; its exit code."""

    def stop(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    with tempfile.TemporaryDirectory(prefix="mlsite-services-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for the user that PostgreSQL runs as
        with postgresql(folder) as database_url, queue_server(folder) as redis_url:
            environment = os.environ | {"TEST_DATABASE_URL": database_url, "TEST_REDIS_URL": redis_url}
            command = [sys.executable, "-m", "pytest", *arguments]
            with subprocess.Popen(command, cwd=ROOT, env=environment) as tests:  # noqa: S603 - our own command line
                try:
                    return tests.wait()
                except BaseException:
                    tests.terminate()
                    raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
