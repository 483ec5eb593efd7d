"""A worker that hangs while it prepares ends, so that its supervisor can start it again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from rq import Queue

from worker.rq_batch import BatchWorker
from worker.rq_batch.heartbeat import end_process_after

# What a worker may hang in: Python code, and compiled code that holds the interpreter's lock.
HANGS = {
    "python": "import time\nwhile True: time.sleep(60)",
    "compiled": "import ctypes\nctypes.PyDLL(None).pause()",
}


@pytest.mark.parametrize("statements", HANGS.values(), ids=HANGS.keys())
def test_process_that_hangs_while_it_prepares_ends(statements: str, redis_url: str) -> None:
    program = (
        "import sys, redis, rq\n"
        "from worker.rq_batch import BatchWorker\n"
        "class Hanging(BatchWorker):\n"
        "    prepare_seconds = 0.5\n"
        f"    def prepare(self): exec({statements!r})\n"
        "Hanging([rq.Queue('hanging', connection=redis.Redis.from_url(sys.argv[1]))]).work()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, redis_url]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr and "prepare" in ended.stderr, "it says where it hangs"


def test_worker_that_prepares_in_time_goes_on(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[int] = []
    monkeypatch.setattr(BatchWorker, "prepare_seconds", 60)
    monkeypatch.setattr(BatchWorker, "prepare", lambda worker: prepared.append(1))
    BatchWorker([queue]).work(burst=True)
    assert prepared == [1]


def test_no_limit() -> None:
    with end_process_after(None):
        pass
