"""Measures how long a worker with the OpenVINO engine takes to start, and how much memory it uses."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from argparse import Namespace, _ActionsContainer
from pathlib import Path

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from devtools.processes import running
from devtools.running import ROOT
from devtools.services import embedded_queue
from stress.bench.processes import BenchProcess, bench_process, pss_megabytes
from stress.bench.workspace import Workspace, site_environment
from stress.tables import BenchReport, Figure, Goal, ResultTable
from worker.rq_batch.liveness import live_workers

TITLE = "Start of a worker"
MOST_SECONDS = 3
MOST_MEGABYTES = 350
QUEUE = "predictions"
START_SECONDS = 120


def add_options(group: _ActionsContainer) -> None:
    """This benchmark has only the general options."""


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    data_dir = workspace.site_folder("start")
    environment = site_environment(data_dir) | {"REUSE_ANSWERS": "0"}
    seconds, memory, mapped = [], [], False
    with embedded_queue(data_dir) as address, bench_process("site_process", environment=environment) as site:
        queue = Queue(QUEUE, connection=redis.Redis.from_url(address), serializer=JSONSerializer)
        for number in range(-1, options.rounds):
            workspace.say(f"round {number + 1} of {options.rounds}" if number >= 0 else "a first start, not counted")
            took, pss, has_tensorflow = _start(queue, site, environment, workspace)
            if number >= 0:
                seconds.append(took)
                memory.append(pss)
            mapped = mapped or has_tensorflow
    until_ready, after_serving = Figure.of(seconds), Figure.of(memory)
    return BenchReport(
        "start",
        TITLE,
        "`manage.py rqworker` with the OpenVINO engine, from the start of the process until its entry in Redis names a "
        f"model; then {len(workspace.photos)} queued photos are answered. {options.rounds} rounds after one that does "
        "not count, median (lowest-highest).",
        [
            ResultTable(
                ("", "seconds until ready", "PSS after serving, MB", "TensorFlow in its memory"),
                [("worker", until_ready, after_serving, "yes" if mapped else "no")],
            )
        ],
        goals=[
            Goal(f"ready within {MOST_SECONDS} s", f"{until_ready} s", until_ready.median <= MOST_SECONDS),
            Goal(f"at most {MOST_MEGABYTES} MB", f"{after_serving} MB", after_serving.median <= MOST_MEGABYTES),
            Goal("no TensorFlow", "mapped" if mapped else "none", not mapped),
        ],
    )


def _start(
    queue: Queue, site: BenchProcess, environment: dict[str, str], workspace: Workspace
) -> tuple[float, float, bool]:
    """Returns seconds until ready, MB after serving, and whether the worker has loaded TensorFlow."""
    log = workspace.folder("start-log") / "worker.log"
    command = [sys.executable, str(ROOT / "manage.py"), "rqworker", QUEUE]
    with log.open("w") as output:
        began = time.monotonic()
        with running(command, env=os.environ | environment, stdout=output, stderr=output) as process:
            _wait_until_ready(queue, process, log)
            seconds = time.monotonic() - began
            answered = site.ask(do="predict", files=list(map(str, workspace.photos)))["done"]
            if answered != len(workspace.photos):
                raise RuntimeError(f"{answered} of {len(workspace.photos)} photos were answered:\n{_tail(log)}")
            return seconds, pss_megabytes(process.pid), _has_tensorflow(process.pid)


def _has_tensorflow(pid: int) -> bool:
    """Returns whether a process has loaded a file of TensorFlow's package.

    It compares whole paths, because OpenVINO's own readers of TensorFlow files also have TensorFlow in their names.
    """
    package = importlib.util.find_spec("tensorflow")
    if package is None or package.origin is None:
        return False
    return f"{Path(package.origin).parent}{os.sep}" in Path(f"/proc/{pid}/maps").read_text()


def _wait_until_ready(queue: Queue, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not any(worker.pid == process.pid and worker.facts.get("model") for worker in live_workers(queue)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the worker did not become ready:\n{_tail(log)}")
        time.sleep(0.01)


def _tail(log: Path) -> str:
    return log.read_text()[-3000:]
