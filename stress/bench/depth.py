"""Whether a long queue costs more than a short one: the same jobs, with few and with many waiting behind them."""

from __future__ import annotations

import contextlib
from argparse import Namespace, _ActionsContainer
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from stress.bench import queueing
from stress.bench.processes import contender, valkey
from stress.bench.table import Figure, Goal, Report, Table
from stress.bench.workspace import Workspace

TITLE = "A long queue"
SAME_WITHIN = 0.10
FLAT_WITHIN = 0.05


# Jobs that are put on top of the waiting ones at a time, so that a short queue stays short.
PORTION = 1000


@dataclass
class Taken:
    """What all portions of one round took, in seconds; the worker's memory before the first and after the last, MB."""

    worker: float = 0.0
    server: float = 0.0
    wall: float = 0.0
    memory_before: float = 0.0
    memory_after: float = 0.0

    def add(self, took: dict[str, Any]) -> None:
        self.worker += took["cpu_seconds"]
        self.server += took["server_cpu_seconds"]
        self.wall += took["ended"] - took["began"]
        self.memory_before = self.memory_before or took["memory_before"]
        self.memory_after = took["memory_after"]


def add_options(group: _ActionsContainer) -> None:
    group.add_argument(
        "--waiting", type=int, nargs="+", default=[100, 100_000], help="jobs behind the measured ones (100 100000)"
    )
    group.add_argument("--depth-jobs", type=int, default=10_000, help="jobs that are measured (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> Report:
    jobs = options.depth_jobs
    taken: dict[int, list[Taken]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        # A server for each: what one queue leaves in memory must not slow down the other.
        addresses = {
            waiting: stack.enter_context(valkey(workspace.folder(f"depth-{waiting}"))) for waiting in options.waiting
        }
        for number in range(options.rounds):
            workspace.say(f"round {number + 1} of {options.rounds}")
            for waiting, found in _round(addresses, jobs).items():
                taken[waiting].append(found)
    rows = [
        (
            f"{waiting:,}",
            Figure.of(1000 * took.worker / jobs for took in taken[waiting]),
            Figure.of(1000 * took.server / jobs for took in taken[waiting]),
            Figure.of(1000 * took.wall / jobs for took in taken[waiting]),
            Figure.of(took.memory_before for took in taken[waiting]),
            Figure.of(took.memory_after for took in taken[waiting]),
        )
        for waiting in options.waiting
    ]
    few, many = (
        Figure.of(1000 * (took.worker + took.server) / jobs for took in taken[waiting])
        for waiting in (min(options.waiting), max(options.waiting))
    )
    # Round by round, as the machine is not equally fast in all of them.
    more = Figure.of(100 * (long / short - 1) for short, long in zip(few.values, many.values, strict=True))
    growth = max(took.memory_after / took.memory_before - 1 for took in taken[max(options.waiting)])
    return Report(
        "depth",
        TITLE,
        f"{jobs:,} jobs that do nothing, worked off by one BatchWorker in batches of 32, with as many others waiting "
        f"behind them as the first column says, {PORTION:,} at a time on either queue by turns; {options.rounds} "
        "rounds, median (lowest-highest).",
        [
            Table(
                (
                    *("jobs waiting", "worker, CPU ms/job", "server, CPU ms/job", "wall ms/job"),
                    *("worker's RSS before, MB", "and after"),
                ),
                rows,
            )
        ],
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


def _round(addresses: dict[int, str], jobs: int) -> dict[int, Taken]:
    """The same jobs on each queue, in portions by turns."""
    taken: dict[int, Taken] = defaultdict(Taken)
    warm_up = max(1, min(640, jobs // 10))
    with contextlib.ExitStack() as stack:
        workers = {waiting: stack.enter_context(contender("rq_process")) for waiting in addresses}
        for start in range(0, jobs, PORTION):
            portion, warm_up = min(PORTION, jobs - start), 0 if start else warm_up
            for waiting, worker in workers.items():
                queue = queueing.queue_at(addresses[waiting])
                queueing.fill(queue, "noop_32", waiting + warm_up + portion - queue.count)
                took = worker.ask(address=addresses[waiting], kind="batch", number=portion, warm_up=warm_up)
                if queue.count != waiting:
                    raise RuntimeError(f"{queue.count} jobs wait; it should be {waiting}")
                taken[waiting].add(took)
                queue.connection.close()
    return taken
