"""How many batch workers one queue server can keep busy, with a stand-in for a GPU that only takes its time."""

from __future__ import annotations

import contextlib
from argparse import Namespace, _ActionsContainer
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rq import Queue

from stress.bench import queueing
from stress.bench.jobs import CALL_SECONDS, GPU_BATCH, IMAGE_SECONDS
from stress.bench.processes import Contender, contender, server_cpu_seconds, valkey
from stress.bench.table import Figure, Report, Table
from stress.bench.workspace import Workspace
from worker.inference.cores import usable_cores

TITLE = "Several workers"
# Of what so many workers would do if each did as much as one alone.
LINEAR_FROM = 0.9


@dataclass(frozen=True)
class Outcome:
    """Jobs per second; CPU milliseconds per job, of all workers and of the server; cores' worth of CPU they used."""

    rate: float
    workers: float
    server: float
    workers_cores: float
    server_cores: float


def add_options(group: _ActionsContainer) -> None:
    group.add_argument(
        "--worker-counts", type=int, nargs="+", default=[1, 2, 4, 8], help="workers side by side (1 2 4 8)"
    )
    group.add_argument("--worker-jobs", type=int, default=10_000, help="jobs for each worker (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> Report:
    outcomes: dict[int, list[Outcome]] = defaultdict(list)
    counts = sorted(set(options.worker_counts))
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(valkey(workspace.folder("workers")))
        queue = queueing.queue_at(address)
        everybody = [stack.enter_context(contender("rq_process")) for _ in range(max(counts))]
        for worker in everybody:  # loads what there is to load
            worker.ask(address=address, kind="batch", number=None)
        for number in range(options.rounds):
            for count in counts:
                workspace.say(f"round {number + 1} of {options.rounds}: {count} workers")
                outcomes[count].append(_measure(address, queue, everybody[:count], options.worker_jobs * count))
    alone = Figure.of(outcome.rate for outcome in outcomes[counts[0]]).median / counts[0]
    shares = {
        count: Figure.of(outcome.rate / (alone * count) for outcome in outcomes[count]).median for count in counts
    }
    rows = [
        (
            str(count),
            Figure.of(outcome.rate for outcome in outcomes[count]),
            f"{shares[count]:.0%}",
            Figure.of(outcome.workers for outcome in outcomes[count]),
            Figure.of(outcome.server for outcome in outcomes[count]),
            Figure.of(outcome.workers_cores for outcome in outcomes[count]),
            Figure.of(outcome.server_cores for outcome in outcomes[count]),
        )
        for count in counts
    ]
    ideal = GPU_BATCH / (CALL_SECONDS + IMAGE_SECONDS * GPU_BATCH)
    return Report(
        "workers",
        TITLE,
        f"BatchWorker processes on one queue, with a batched function that only sleeps: {1000 * CALL_SECONDS:.0f} ms "
        f"a call and {1000 * IMAGE_SECONDS:.1f} ms an image, at most {GPU_BATCH} at once, {ideal:,.0f} images per "
        f"second if nothing else took time. {options.worker_jobs:,} jobs for each worker; {options.rounds} rounds in "
        "turns, median (lowest-highest).",
        [
            Table(
                (
                    *("workers", "jobs/s", "of linear", "workers, CPU ms/job", "server, CPU ms/job"),
                    *("workers, cores used", "server, cores used"),
                ),
                rows,
            )
        ],
        notes=[_where_it_stops(counts, shares, outcomes)],
    )


def _measure(address: str, queue: Queue, workers: Sequence[Contender], jobs: int) -> Outcome:
    queue.connection.flushdb()
    queueing.fill(queue, "gpu", jobs)
    before = server_cpu_seconds(queue.connection)
    for worker in workers:
        worker.send(address=address, kind="batch", number=None)
    taken = [worker.receive() for worker in workers]
    server = server_cpu_seconds(queue.connection) - before
    queueing.demand_done(queue, jobs)
    seconds = max(took["ended"] for took in taken) - min(took["began"] for took in taken)
    cpu = sum(took["cpu_seconds"] for took in taken)
    return Outcome(jobs / seconds, 1000 * cpu / jobs, 1000 * server / jobs, cpu / seconds, server / seconds)


def _where_it_stops(counts: Sequence[int], shares: dict[int, float], outcomes: dict[int, list[Outcome]]) -> str:
    cores = usable_cores()
    below = next((count for count in counts if shares[count] < LINEAR_FROM), None)
    if below is None:
        return f"It grows linearly up to {counts[-1]} workers, on {cores} cores."
    last = max(count for count in counts if count < below)
    used, server = (
        Figure.of(getattr(outcome, name) for outcome in outcomes[below]).median
        for name in ("workers_cores", "server_cores")
    )
    return (
        f"It grows linearly up to {last} of them. With {below} it comes to {shares[below]:.0%} of that: the workers "
        f"use {used:.2f} of {cores} cores then, the server, which works in one thread, {server:.2f}."
    )
