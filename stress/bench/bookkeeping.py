"""The overhead of a queued job: RQ's workers and the batch worker on jobs that do nothing."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer
from dataclasses import dataclass

from devtools.services import embedded_queue
from stress.bench import queueing
from stress.bench.processes import bench_process
from stress.bench.workspace import Workspace
from stress.tables import BenchReport, Figure, Goal, ResultTable, TableCell, figures

TITLE = "Bookkeeping of a queued job"
MOST_MILLISECONDS = 0.5  # at batches of 32
LEAST_TIMES = 8  # less than SimpleWorker, at batches of 32


@dataclass(frozen=True)
class MeasuredWorker:
    """A worker class and the job function that it runs."""

    name: str
    kind: str
    function: str

    def __str__(self) -> str:
        return self.name


SIMPLE = MeasuredWorker("rq SimpleWorker", "simple", "plain")
FORKING = MeasuredWorker("rq Worker (forks)", "forking", "plain")
ONE, EIGHT, THIRTY_TWO = (MeasuredWorker(f"BatchWorker, at most {n}", "batch", f"noop_{n}") for n in (1, 8, 32))
WORKERS = (FORKING, SIMPLE, ONE, EIGHT, THIRTY_TWO)


@dataclass(frozen=True)
class JobCost:
    """Milliseconds per job."""

    worker: float
    server: float
    wall: float


def add_options(group: _ActionsContainer) -> None:
    group.add_argument("--jobs", type=int, default=5000, help="jobs of each worker (default: %(default)s)")
    group.add_argument("--forking-jobs", type=int, default=500, help="of RQ's forking worker (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    forking_jobs = min(options.jobs, options.forking_jobs)
    with embedded_queue(workspace.folder("bookkeeping")) as address:
        costs = workspace.rounds(
            options.rounds,
            WORKERS,
            lambda worker: _measure(address, worker, forking_jobs if worker is FORKING else options.jobs),
        )
    cpu = {worker: figures(costs[worker], "worker")[0] for worker in WORKERS}
    # Within a round the workers run shortly after each other, so they are compared round by round.
    times = {
        worker: Figure.of(simple / own for simple, own in zip(cpu[SIMPLE].values, cpu[worker].values, strict=True))
        for worker in WORKERS
    }
    rows: list[tuple[TableCell, ...]] = [
        (worker.name, *figures(costs[worker], "worker", "server", "wall"), times[worker]) for worker in WORKERS
    ]
    columns = ("", "worker, CPU ms/job", "server, CPU ms/job", "wall ms/job", "times less CPU than SimpleWorker")
    return BenchReport(
        "bookkeeping",
        TITLE,
        f"{options.jobs:,} queued jobs that do nothing ({forking_jobs:,} for the worker that forks), done by one "
        f"worker; {options.rounds} alternating rounds, median (lowest-highest). The worker's CPU time includes its "
        "children; loggers are silent.",
        [ResultTable(columns, rows)],
        goals=_goals(cpu, times[THIRTY_TWO]),
    )


def _goals(cpu: dict[MeasuredWorker, Figure], times: Figure) -> list[Goal]:
    full = cpu[THIRTY_TWO]
    return [
        Goal(
            f"at most {MOST_MILLISECONDS} ms of the worker's CPU per job at batches of 32",
            f"{full}",
            full.median <= MOST_MILLISECONDS,
        ),
        Goal(
            f"at least {LEAST_TIMES} times less than SimpleWorker at batches of 32",
            f"{times}",
            times.median >= LEAST_TIMES,
        ),
        Goal(
            "no worse than SimpleWorker at batches of 1",
            f"{cpu[ONE]} against {cpu[SIMPLE]} ms",
            cpu[ONE].median <= cpu[SIMPLE].median,
        ),
    ]


def _measure(address: str, worker: MeasuredWorker, jobs: int) -> JobCost:
    queue = queueing.queue_at(address)
    queue.connection.flushdb()
    warm_up = max(1, min(100, jobs // 10))
    queueing.fill(queue, worker.function, warm_up + jobs)
    with bench_process("rq_process") as process:
        took = process.ask(address=address, kind=worker.kind, number=jobs, warm_up=warm_up)
    queueing.require_done(queue, warm_up + jobs)
    seconds = (took["cpu_seconds"], took["server_cpu_seconds"], took["ended"] - took["began"])
    return JobCost(*(1000 * part / jobs for part in seconds))
