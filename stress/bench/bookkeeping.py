"""What a queued job costs beside what it does: RQ's workers and the batch worker on jobs that do nothing."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer
from collections import defaultdict
from dataclasses import dataclass

from stress.bench import queueing
from stress.bench.processes import contender, valkey
from stress.bench.table import Figure, Goal, Report, Table
from stress.bench.workspace import Workspace

TITLE = "Bookkeeping of a queued job"
MOST_MILLISECONDS = 0.5  # at batches of 32
LEAST_TIMES = 8  # less than SimpleWorker, at batches of 32


@dataclass(frozen=True)
class Contestant:
    name: str
    kind: str
    function: str


SIMPLE = Contestant("rq SimpleWorker", "simple", "plain")
FORKING = Contestant("rq Worker (forks)", "forking", "plain")
ONE, EIGHT, THIRTY_TWO = (Contestant(f"BatchWorker, at most {n}", "batch", f"noop_{n}") for n in (1, 8, 32))
CONTESTANTS = (FORKING, SIMPLE, ONE, EIGHT, THIRTY_TWO)


@dataclass(frozen=True)
class Cost:
    """Milliseconds for each job."""

    worker: float
    server: float
    wall: float


def add_options(group: _ActionsContainer) -> None:
    group.add_argument("--jobs", type=int, default=5000, help="jobs of each contender (default: %(default)s)")
    group.add_argument("--forking-jobs", type=int, default=500, help="of RQ's forking worker (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> Report:
    costs: dict[Contestant, list[Cost]] = defaultdict(list)
    with valkey(workspace.folder("bookkeeping")) as address:
        for number in range(options.rounds):
            for contestant in CONTESTANTS:
                workspace.say(f"round {number + 1} of {options.rounds}: {contestant.name}")
                jobs = min(options.jobs, options.forking_jobs) if contestant is FORKING else options.jobs
                costs[contestant].append(_measure(address, contestant, jobs))
    worker = {contestant: Figure.of(cost.worker for cost in costs[contestant]) for contestant in CONTESTANTS}
    # A round's contenders follow each other closely, so they are compared round by round.
    times = {
        contestant: Figure.of(
            simple.worker / cost.worker for simple, cost in zip(costs[SIMPLE], costs[contestant], strict=True)
        )
        for contestant in CONTESTANTS
    }
    rows = [
        (
            contestant.name,
            worker[contestant],
            Figure.of(cost.server for cost in costs[contestant]),
            Figure.of(cost.wall for cost in costs[contestant]),
            times[contestant],
        )
        for contestant in CONTESTANTS
    ]
    columns = ("", "worker, CPU ms/job", "server, CPU ms/job", "wall ms/job", "times less CPU than SimpleWorker")
    at_32, at_1 = worker[THIRTY_TWO].median, worker[ONE].median
    return Report(
        "bookkeeping",
        TITLE,
        f"{options.jobs:,} queued jobs that do nothing ({min(options.jobs, options.forking_jobs):,} for the worker "
        f"that forks), worked off by one worker; {options.rounds} rounds in turns, median (lowest-highest). The "
        "worker's CPU time includes its children; loggers are silent.",
        [Table(columns, rows)],
        goals=[
            Goal(
                f"at most {MOST_MILLISECONDS} ms of the worker's CPU per job at batches of 32",
                f"{worker[THIRTY_TWO]}",
                at_32 <= MOST_MILLISECONDS,
            ),
            Goal(
                f"at least {LEAST_TIMES} times less than SimpleWorker at batches of 32",
                f"{times[THIRTY_TWO]}",
                times[THIRTY_TWO].median >= LEAST_TIMES,
            ),
            Goal(
                "no worse than SimpleWorker at batches of 1",
                f"{worker[ONE]} against {worker[SIMPLE]} ms",
                at_1 <= worker[SIMPLE].median,
            ),
        ],
    )


def _measure(address: str, contestant: Contestant, jobs: int) -> Cost:
    queue = queueing.queue_at(address)
    queue.connection.flushdb()
    warm_up = max(1, min(100, jobs // 10))
    queueing.fill(queue, contestant.function, warm_up + jobs)
    with contender("rq_process") as process:
        took = process.ask(address=address, kind=contestant.kind, number=jobs, warm_up=warm_up)
    queueing.demand_done(queue, warm_up + jobs)
    seconds = (took["cpu_seconds"], took["server_cpu_seconds"], took["ended"] - took["began"])
    return Cost(*(1000 * part / jobs for part in seconds))
