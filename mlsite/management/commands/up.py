"""`manage.py up`: prepares the site, runs all its processes, and stops them on Ctrl-C."""

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from argparse import ArgumentTypeError
from pathlib import Path
from types import FrameType
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.db.utils import Error as DatabaseError

from mlsite import accounts, embedded_valkey, health, preparation, web_server
from mlsite.management.arguments import port
from mlsite.supervision import Program, Supervisor, configuration
from predictions import queues
from worker.inference.cores import usable_cores
from worker.inference.repository import RepositoryError

SLOW_START_SECONDS = 60
STOP_SECONDS = 60  # a worker finishes its batch within 30
OPEN_FILES = 65_536  # each connection needs one, and a shell often allows 1,024

# Workers use all the CPU time that they get. The web server takes precedence: it needs little, and each request waits
# for it.
WORKER_NICE = 10


class Command(BaseCommand):
    help = "Runs the whole system on this machine: queue server, web server, workers. Ctrl-C stops it."
    requires_system_checks = ()  # they need a database, which this command may have to create

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=port, default=os.environ.get("PORT") or "8000", help="default: PORT or 8000")
        parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1", help="default: HOST or 127.0.0.1")
        parser.add_argument(
            "--workers", type=_count, default=os.environ.get("WORKERS") or "1", help="default: WORKERS or 1"
        )
        parser.add_argument("--no-web", action="store_true", help="workers only (and the queue server, if embedded)")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        self.address: tuple[str, int] | None = None if options["no_web"] else (options["host"], options["port"])
        preparation.prepare_data_folder()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # until `run` stops its processes in order
        with _locked_data_folder(), (settings.DATA_DIR / "programs.lock").open("a+") as programs_lock:
            try:
                self.wait_for_earlier_programs(programs_lock)
                if self.address:
                    _require_free(*self.address)
                _require_no_queue_server()
                preparation.prepare_secret_key()
                preparation.prepare_identity_key()
                self.prepare()
            except KeyboardInterrupt:
                raise CommandError("Stopped before everything was prepared.", returncode=130) from None
            self.run(options["workers"], started, programs_lock)

    def wait_for_earlier_programs(self, lock: IO[str]) -> None:
        """Takes the lock. If an earlier `up` was killed, supervisord holds it until all programs have stopped."""
        deadline: float | None = None
        while not _try_lock(lock):
            if deadline is None:
                deadline = time.monotonic() + STOP_SECONDS
                self.say("An earlier `manage.py up` was killed. Waiting until its processes have stopped...")
            if time.monotonic() > deadline:
                lock.seek(0)
                raise CommandError(
                    f"The processes of an earlier `manage.py up` still use {settings.DATA_DIR}. "
                    f"Stop process {lock.read()} first (SIGTERM)."
                )
            time.sleep(0.2)

    def prepare(self) -> None:
        try:
            preparation.prepare_permissions(self.say)
            preparation.prepare_database(self.say)
            preparation.prepare_static_files(self.say)
            model = preparation.prepare_model(self.say)
        except (RepositoryError, DatabaseError, OSError) as error:
            raise CommandError(f"Cannot prepare {settings.DATA_DIR}: {error}") from error
        finally:
            connections.close_all()
        self.say(f"Model: {model}")

    def run(self, workers: int, started: float, programs_lock: IO[str]) -> None:
        log_folder = settings.DATA_DIR / "log"
        log_folder.mkdir(exist_ok=True)
        configuration_file = log_folder / "supervisord.conf"
        programs = _programs(self.address, workers)
        configuration_file.write_text(configuration(programs, folder=settings.BASE_DIR, log_folder=log_folder))
        # This serves plain HTTP; HTTPS=true is for a site behind a proxy that speaks HTTPS.
        environment = os.environ | {
            "HTTPS": os.environ.get("HTTPS") or "false",
            "PYTHONUNBUFFERED": "1",
            # glibc gives every few threads a separate heap and keeps freed memory there: 60 MB with dozens of threads
            # that each hold a picture briefly.
            "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX") or "2",
            # Workers share the cores of the machine.
            "ENGINE_THREADS": str(settings.ENGINE_THREADS or max(1, usable_cores() // workers)),
        }
        _allow_open_files()
        self.say("Starting: " + ", ".join(program.name for program in programs))

        stopping = threading.Event()

        def stop(signum: int, frame: FrameType | None) -> None:
            stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, stop)
        supervisor = Supervisor(configuration_file, log_folder / "supervisord.log", environment, programs_lock)
        try:
            if self.wait_until_ready(supervisor, stopping, started, log_folder):
                self.print_addresses(started, log_folder)
            while supervisor.is_running() and not stopping.wait(0.5):
                self.print_deaths(supervisor, log_folder)
        finally:
            ended_by_itself = not supervisor.is_running() and not stopping.is_set()
            self.say("Stopping...")
            supervisor.stop()
        if ended_by_itself:
            raise CommandError(f"supervisord ended unexpectedly; see {log_folder / 'supervisord.log'}")
        self.say("Stopped.")

    def wait_until_ready(
        self, supervisor: Supervisor, stopping: threading.Event, started: float, log_folder: Path
    ) -> bool:
        warned = False
        while supervisor.is_running() and not stopping.wait(0.1):
            self.print_deaths(supervisor, log_folder)
            missing = _not_ready(self.address)
            if not missing:
                return True
            if not warned and time.monotonic() - started > SLOW_START_SECONDS:
                self.say(f"Still starting: {missing}. If this takes long, see {log_folder}/.")
                warned = True
        return False

    def print_addresses(self, started: float, log_folder: Path) -> None:
        self.say(f"Ready after {time.monotonic() - started:.1f} s.")
        self.say("")
        if self.address:
            site = _url(self.address)
            self.say(f"  Web page   {site}/")
            self.say(f"  API docs   {site}/api/docs")
            self.say(f"  Admin      {site}/admin/")
            if login := accounts.create_first_lead():  # only now, when the password is shown
                self.say(f"             name {login[0]}, password {login[1]}   (shown only once)")
        self.say(f"  Logs       {log_folder}/")
        self.say("")
        self.say("Ctrl-C stops it.")
        connections.close_all()

    def print_deaths(self, supervisor: Supervisor, log_folder: Path) -> None:
        for name, how in supervisor.deaths():
            self.say(f"{name} ended ({how}) and restarts; see {log_folder / name}.log")

    def say(self, message: str) -> None:
        # A closed terminal must not end this process before it has stopped the programs.
        with contextlib.suppress(OSError):
            self.stdout.write(message)
            self.stdout.flush()


def _programs(address: tuple[str, int] | None, workers: int) -> list[Program]:
    programs = []
    if queues.is_embedded():
        programs.append(Program("valkey", embedded_valkey.command(settings.DATA_DIR), priority=1))
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    nice = ["nice", "-n", str(WORKER_NICE)] if address else []
    for number in range(1, workers + 1):
        # A worker finishes its batch before it stops.
        programs.append(
            Program(f"worker-{number}", [*nice, *manage, "rqworker", queues.NAME], priority=2, stop_seconds=30)
        )
    programs.append(Program("exporter", [*manage, "exporter"], priority=2, stop_seconds=30))
    if address:
        programs.append(
            Program("web", web_server.command(*address, application="mlsite.web.supervised:application"), priority=3)
        )
    return programs


def _allow_open_files() -> None:
    """Raises the limit of open files for this process and its children, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _url(address: tuple[str, int]) -> str:
    """The address of the site on this machine."""
    host, port = address
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def _not_ready(address: tuple[str, int] | None) -> str:
    """Names the parts that are not ready. Asks the site for them, or checks them itself if there is no web server."""
    if address is None:
        return ", ".join(name for name, state in health.states().items() if state != "ok")
    request = urllib.request.Request(  # noqa: S310 - http, by construction
        f"{_url(address)}/readyz",
        headers={"Host": settings.ALLOWED_HOSTS[0].lstrip(".").replace("*", "localhost")},
    )
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310
            return ""
    except urllib.error.HTTPError as error:
        with contextlib.suppress(ValueError):
            states = json.loads(error.read())
            return ", ".join(f"{name}: {state}" for name, state in states.items() if state != "ok" and name != "status")
        return f"the site answers {error.code}"
    except OSError:
        return "the site does not answer"


@contextlib.contextmanager
def _locked_data_folder() -> Any:
    """Locks the data folder against a second `manage.py up`."""
    with (settings.DATA_DIR / "up.lock").open("a+") as file:
        if not _try_lock(file):
            file.seek(0)
            process = f"process {file.read().strip()}"
            raise CommandError(
                f"Another `manage.py up` is running on {settings.DATA_DIR}: {process}. Stop that one first."
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _require_no_queue_server() -> None:
    if not queues.is_embedded():
        return
    if server := embedded_valkey.running_server(settings.DATA_DIR):
        raise CommandError(
            f"Another queue server uses {settings.DATA_DIR}: {server}. It may be left from a `manage.py up` that was "
            "killed. Stop it first (SIGTERM)."
        )


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(f"Port {port} is taken. Choose another: make run PORT={port + 1}") from error
            raise CommandError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error


def _count(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 256:
        raise ArgumentTypeError(f"{value!r} is not a number of workers: 1 to 256")
    return int(value)
