"""Measures how many batch workers one queue server keeps busy. The job function sleeps in place of a GPU."""

from __future__ import annotations

import contextlib
from argparse import Namespace, _ActionsContainer
from collections.abc import Sequence
from dataclasses import dataclass

from rq import Queue

from devtools.services import embedded_queue
from stress.bench import queueing
from stress.bench.jobs import CALL_SECONDS, GPU_BATCH, IMAGE_SECONDS
from stress.bench.processes import BenchProcess, bench_process, server_cpu_seconds
from stress.bench.workspace import Workspace
from stress.tables import BenchReport, Figure, ResultTable, TableCell, figures

TITLE = "Several workers"


@dataclass(frozen=True)
class WorkersRound:
    """Jobs per second; CPU milliseconds per job, of all workers and of the server; cores that they used."""

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


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    counts = sorted(set(options.worker_counts))
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(embedded_queue(workspace.folder("workers")))
        queue = queueing.queue_at(address)
        workers = [stack.enter_context(bench_process("rq_process")) for _ in range(max(counts))]
        for worker in workers:  # imports happen now, and not while the others are measured
            worker.ask(address=address, kind="batch", number=None)
        found = workspace.rounds(
            options.rounds,
            counts,
            lambda count: _measure(address, queue, workers[:count], options.worker_jobs * count),
            label="{} workers",
        )
    one = Figure.of(each.rate for each in found[counts[0]]).median / counts[0]
    shares = {count: Figure.of(each.rate / (one * count) for each in found[count]).median for count in counts}
    rows: list[tuple[TableCell, ...]] = []
    for count in counts:
        rate, *costs = figures(found[count], "rate", "workers", "server", "workers_cores", "server_cores")
        rows.append((str(count), rate, f"{shares[count]:.0%}", *costs))
    columns = (
        *("workers", "jobs/s", "of linear", "workers, CPU ms/job", "server, CPU ms/job"),
        *("workers, cores used", "server, cores used"),
    )
    ideal = GPU_BATCH / (CALL_SECONDS + IMAGE_SECONDS * GPU_BATCH)
    return BenchReport(
        "workers",
        TITLE,
        f"BatchWorker processes on one queue, with a batched function that only sleeps: {1000 * CALL_SECONDS:.0f} ms "
        f"a call and {1000 * IMAGE_SECONDS:.1f} ms an image, at most {GPU_BATCH} at once, {ideal:,.0f} images per "
        f"second if nothing else took time. {options.worker_jobs:,} jobs for each worker; {options.rounds} alternating "
        "rounds, median (lowest-highest).",
        [ResultTable(columns, rows)],
    )


def _measure(address: str, queue: Queue, workers: Sequence[BenchProcess], jobs: int) -> WorkersRound:
    queue.connection.flushdb()
    queueing.fill(queue, "gpu", jobs)
    before = server_cpu_seconds(queue.connection)
    for worker in workers:
        worker.send(address=address, kind="batch", number=None)
    taken = [worker.receive() for worker in workers]
    server = server_cpu_seconds(queue.connection) - before
    queueing.require_done(queue, jobs)
    seconds = max(took["ended"] for took in taken) - min(took["began"] for took in taken)
    cpu = sum(took["cpu_seconds"] for took in taken)
    return WorkersRound(jobs / seconds, 1000 * cpu / jobs, 1000 * server / jobs, cpu / seconds, server / seconds)
