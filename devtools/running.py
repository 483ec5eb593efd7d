"""A whole site, started as `make run` starts it, on a free port and with its own data folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar, cast

import psutil
import requests

from devtools.own_servers import own_servers
from mlsite import embedded_valkey

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 300  # 5 on an idle machine, minutes on a busy one
STOP_SECONDS = 60

# For sites under load: all simulated users have one address.
NO_CLIENT_LIMITS = dict.fromkeys(
    ("QUEUE_MAX_WAITING_PER_CLIENT", "RATE_LIMIT_PREDICTIONS", "RATE_LIMIT_FEEDBACK", "RATE_LIMIT_LABELS"), "0"
)

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """The HTTP interface of a running site, and the address of its queue server."""

    url: str
    queue_url: str

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **options)  # type: ignore[arg-type]

    def is_ready(self) -> bool:
        """Returns whether /readyz answers 200."""
        try:
            return self.get("/readyz").status_code == 200
        except requests.ConnectionError:
            return False

    def predict(self, photo: bytes, **headers: str) -> requests.Response:
        files = {"file": ("photo.jpg", photo, "image/jpeg")}
        return requests.post(f"{self.url}/api/predict", files=files, headers=headers, timeout=60)


class RunningSite(Site):
    """One `manage.py up`, as a context manager that always stops all of its processes."""

    def __init__(self, data_dir: Path, *arguments: str, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        servers = own_servers(data_dir)
        self.queue_url = servers.get("REDIS_URL") or f"unix://{embedded_valkey.socket_path(data_dir)}"
        self.arguments = arguments
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"SECRET_KEY", "HTTPS"}},
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            **servers,
            **environment,
        }
        self.output = ""

    def __enter__(self) -> "RunningSite":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the site and waits until it is ready. Raises `AssertionError` with all logs if it fails."""
        ready = self.launch()
        try:
            is_ready = ready.wait(START_SECONDS) and self.process.poll() is None
        except BaseException:  # interrupted
            self.stop()
            raise
        if not is_ready:
            self.stop()
            raise AssertionError(f"not ready:\n{self.output}\n{self.logs()}")

    def launch(self) -> threading.Event:
        """Starts the site without waiting. The event is set when the site is ready or has ended."""
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "manage.py", "up", *self.arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        ready = threading.Event()
        self.reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self.reader.start()
        return ready

    def _read(self, ready: threading.Event) -> None:
        with cast(IO[str], self.process.stdout) as lines:
            for line in lines:
                self.output += line
                if "Ctrl-C stops it" in line:
                    ready.set()
        ready.set()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends the signal to the whole process group, as a terminal does with Ctrl-C. Returns the exit code."""
        everything = self.processes()
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        try:
            code = self.process.wait(STOP_SECONDS)
        finally:
            left = [process for process in everything if runs(process)]
            for process in left:
                process.kill()
            self.reader.join(STOP_SECONDS)
        if left:
            raise AssertionError(f"left running: {left}")
        return code

    def processes(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def pids(self, part: str) -> list[int]:
        """Returns the ids of processes whose command line contains `part`: `rqworker`, `granian`, `valkey-server`."""
        return [process.pid for process in self.processes() if part in " ".join(_command(process))]

    def logs(self) -> str:
        files = sorted((self.data_dir / "log").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in files)

    @property
    def login(self) -> tuple[str, str]:
        found = re.search(r"name (\S+), password (\S+)", self.output)
        if found is None:
            raise AssertionError(f"no login:\n{self.output}")
        return found[1], found[2]


def runs(process: psutil.Process) -> bool:
    """Returns whether a process runs. A zombie has ended and only waits for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def eventually(condition: Callable[..., T | None], what: str, seconds: float = 60) -> T:
    """Calls `condition` until it returns a true value, and returns that. Raises `AssertionError` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.1)


def folder_with_model(parent: Path, models: Path) -> Path:
    """Makes a data folder that holds the default model, so that a start does not build it."""
    folder = parent / "data"
    shutil.copytree(models, folder / "models")
    return folder
