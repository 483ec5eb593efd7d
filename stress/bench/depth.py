"""Measures whether a long queue costs more than a short one, by the same jobs on both."""

from __future__ import annotations

import contextlib
from argparse import Namespace, _ActionsContainer
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from devtools.services import embedded_queue
from stress.bench import queueing
from stress.bench.processes import bench_process
from stress.bench.workspace import Workspace
from stress.tables import BenchReport, Figure, Goal, ResultTable, TableCell, figures

TITLE = "A long queue"
SAME_WITHIN = 0.10
FLAT_WITHIN = 0.05

PORTION = 1000  # jobs that are added on top of the waiting ones at a time, so that a short queue stays short


@dataclass
class DepthRound:
    """Milliseconds per job; the worker's memory in MB before the first portion and after the last."""

    jobs: int
    worker: float = 0.0
    server: float = 0.0
    wall: float = 0.0
    memory_before: float = 0.0
    memory_after: float = 0.0

    def add(self, took: dict[str, Any]) -> None:
        self.worker += 1000 * took["cpu_seconds"] / self.jobs
        self.server += 1000 * took["server_cpu_seconds"] / self.jobs
        self.wall += 1000 * (took["ended"] - took["began"]) / self.jobs
        self.memory_before = self.memory_before or took["memory_before"]
        self.memory_after = took["memory_after"]

    @property
    def cpu(self) -> float:
        return self.worker + self.server


def add_options(group: _ActionsContainer) -> None:
    group.add_argument(
        "--waiting", type=int, nargs="+", default=[100, 100_000], help="jobs behind the measured ones (100 100000)"
    )
    group.add_argument("--depth-jobs", type=int, default=10_000, help="jobs that are measured (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    found: dict[int, list[DepthRound]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        # A server for each, so that the memory of one queue does not slow down the other.
        addresses = {
            waiting: stack.enter_context(embedded_queue(workspace.folder(f"depth-{waiting}")))
            for waiting in options.waiting
        }
        for number in range(options.rounds):
            workspace.say(f"round {number + 1} of {options.rounds}")
            for waiting, one in _round(addresses, options.depth_jobs).items():
                found[waiting].append(one)
    return _report(options, found)


def _report(options: Namespace, found: dict[int, list[DepthRound]]) -> BenchReport:
    names = ("worker", "server", "wall", "memory_before", "memory_after")
    rows: list[tuple[TableCell, ...]] = [
        (f"{waiting:,}", *figures(found[waiting], *names)) for waiting in options.waiting
    ]
    ((few,), (many,)) = (figures(found[end(options.waiting)], "cpu") for end in (min, max))
    # Round by round, because the machine is not equally fast in all of them.
    more = Figure.of(100 * (long / short - 1) for short, long in zip(few.values, many.values, strict=True))
    growth = max(one.memory_after / one.memory_before - 1 for one in found[max(options.waiting)])
    columns = (
        *("jobs waiting", "worker, CPU ms/job", "server, CPU ms/job", "wall ms/job"),
        *("worker's RSS before, MB", "and after"),
    )
    return BenchReport(
        "depth",
        TITLE,
        f"{options.depth_jobs:,} jobs that do nothing, done by one BatchWorker in batches of 32, with as many others "
        f"waiting behind them as the first column says, {PORTION:,} at a time on alternating queues; {options.rounds} "
        "rounds, median (lowest-highest).",
        [ResultTable(columns, rows)],
        goals=[
            Goal(
                f"the CPU of worker and server per job is the same within {SAME_WITHIN:.0%}",
                f"{few} and {many} ms; in the same round {more} % more",
                abs(more.median) <= 100 * SAME_WITHIN,
            ),
            Goal(
                f"the worker's memory grows by no more than {FLAT_WITHIN:.0%}",
                f"{growth:+.1%} at most",
                growth <= FLAT_WITHIN,
            ),
        ],
    )


def _round(addresses: dict[int, str], jobs: int) -> dict[int, DepthRound]:
    """Does the same jobs on each queue, in portions that alternate between the queues."""
    found = {waiting: DepthRound(jobs) for waiting in addresses}
    warm_up = max(1, min(640, jobs // 10))
    with contextlib.ExitStack() as stack:
        workers = {waiting: stack.enter_context(bench_process("rq_process")) for waiting in addresses}
        for start in range(0, jobs, PORTION):
            portion, warm_up = min(PORTION, jobs - start), 0 if start else warm_up
            for waiting, worker in workers.items():
                queue = queueing.queue_at(addresses[waiting])
                queueing.fill(queue, "noop_32", waiting + warm_up + portion - queue.count)
                took = worker.ask(address=addresses[waiting], kind="batch", number=portion, warm_up=warm_up)
                if queue.count != waiting:
                    raise RuntimeError(f"{queue.count} jobs wait instead of {waiting}")
                found[waiting].add(took)
                queue.connection.close()
    return found
