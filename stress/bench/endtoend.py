"""Measures the whole system under load, and compares it with the ceiling, which is measured between the loads."""

from __future__ import annotations

import contextlib
from argparse import Namespace, _ActionsContainer
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devtools.processes import family
from devtools.running import NO_CLIENT_LIMITS, RunningSite
from devtools.services import PostgresServer, postgresql
from stress.bench import ceiling, load
from stress.bench.ceiling import ClassifierPass
from stress.bench.processes import BenchProcess, bench_process, cpu_seconds, pss_megabytes
from stress.bench.site import NAMES, SiteProcesses
from stress.bench.workspace import Workspace, site_environment
from stress.tables import BenchReport, Figure, Goal, ResultTable, TableCell, figures
from worker.inference.cores import usable_cores

TITLE = "End to end"
DATABASE = "database"
CONNECTIONS = "500"  # of PostgreSQL, as in docker-compose.yml: each thread of the web server may hold one
BATCH_SIZE = 32  # of the ceiling: the default of BATCH_MAX_SIZE
WARM_UP_CLIENTS = 32


@dataclass(frozen=True)
class SiteRound:
    """The result of one load. CPU milliseconds per prediction and memory in MB, by role of the process."""

    load: load.LoadResult
    cpu: dict[str, float]
    memory: dict[str, float]
    ceiling: ClassifierPass

    @property
    def rate(self) -> float:
        return len(self.load.answered) / self.load.seconds

    @property
    def share_of_ceiling(self) -> float:
        return 100 * self.rate / self.ceiling.rate

    @property
    def total_cpu(self) -> float:
        return sum(self.cpu.values())

    @property
    def cpu_beyond_ceiling(self) -> float:
        return self.total_cpu - self.ceiling.cpu

    @property
    def generator_share(self) -> float:
        return 100 * self.load.cpu_seconds / self.load.seconds / usable_cores()


SiteRounds = dict[int, list[SiteRound]]  # by number of clients


@dataclass
class SiteUnderLoad:
    """A running site, and the processes that load and measure it."""

    site: RunningSite
    database: BenchProcess
    processes: SiteProcesses
    photos: Sequence[Path]
    folder: Path
    server: PostgresServer | None
    answered: list[str] = field(default_factory=list)

    def done(self) -> int:
        return int(self.database.ask(do="done", files=[])["done"])

    def cpu_seconds(self) -> dict[str, float]:
        found = self.processes.cpu_seconds()
        if self.server:
            found[DATABASE] = cpu_seconds(family(self.server.pid), with_ended_children=True)
        return found

    def pss_megabytes(self) -> dict[str, float]:
        found = self.processes.pss_megabytes()
        if self.server:
            found[DATABASE] = sum(pss_megabytes(process.pid) for process in family(self.server.pid))
        return found

    def send(self, clients: int, seconds: int) -> tuple[load.LoadResult, dict[str, float]]:
        """Sends one load. Returns its result and the CPU milliseconds per prediction, by role.

        wrk drops the requests that are under way when its time is over, but the site still answers them. So the CPU
        time until the site is idle is divided by the number of rows that are done by then.
        """
        self.processes.wait_until_idle()
        done, before = self.done(), self.cpu_seconds()
        result = load.send(self.site.url, self.photos, self.folder, clients=clients, seconds=seconds)
        self.processes.wait_until_idle()
        after = self.cpu_seconds()
        done = self.done() - done
        self.answered += result.answered
        if not done:
            raise RuntimeError(f"no prediction was answered; statuses: {result.statuses}\n{self.site.logs()}")
        if SiteProcesses(self.site).pids() != self.processes.pids():
            raise RuntimeError(f"processes of the site have died under the load:\n{self.site.logs()}")
        return result, {role: 1000 * (after[role] - before[role]) / done for role in after}


def add_options(group: _ActionsContainer) -> None:
    group.add_argument("--seconds", type=int, default=15, help="duration of each load (default: %(default)s)")
    group.add_argument("--warm-up", type=int, default=5, metavar="SECONDS", help="before the first load (%(default)s)")
    group.add_argument(
        "--clients", type=int, nargs="+", default=[1, 8, 32, 64, 256], help="connections (1 8 32 64 256)"
    )
    group.add_argument("--postgresql", action="store_true", help="use PostgreSQL instead of SQLite")


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    # Without this setting, a photo that was sent before is answered without any work.
    environment = {"REUSE_ANSWERS": "0", "PRECISION": "f32"}
    data_dir = workspace.site_folder("endtoend")
    with contextlib.ExitStack() as stack:
        server = None
        if options.postgresql:
            server = stack.enter_context(postgresql(max_connections=CONNECTIONS))
            environment["DATABASE_URL"] = server.url
        alone = stack.enter_context(ceiling.classifier(workspace, "openvino", "f32", BATCH_SIZE))
        workspace.say("starting the site")
        site = stack.enter_context(RunningSite(data_dir, **NO_CLIENT_LIMITS, **environment))
        settings = site_environment(data_dir) | environment
        database = stack.enter_context(bench_process("site_process", environment=settings))
        folder = workspace.folder("endtoend-load")
        loaded = SiteUnderLoad(site, database, SiteProcesses(site), workspace.photos, folder, server)
        workspace.say("warming up")
        loaded.send(WARM_UP_CLIENTS, options.warm_up)
        passes = [ceiling.measure(alone, BATCH_SIZE)]

        def measure(clients: int) -> SiteRound:
            result, cpu = loaded.send(clients, options.seconds)
            memory = loaded.pss_megabytes()
            passes.append(ceiling.measure(alone, BATCH_SIZE))
            return SiteRound(result, cpu, memory, _mean(*passes[-2:]))

        rounds = workspace.rounds(options.rounds, options.clients, measure, label="{} clients")
        ids = folder / "answered.txt"
        ids.write_text("\n".join(loaded.answered))
        counted = database.ask(do="done", files=[str(ids)])
    return _report(options, rounds, passes, len(loaded.answered), counted)


def _mean(before: ClassifierPass, after: ClassifierPass) -> ClassifierPass:
    return ClassifierPass((before.rate + after.rate) / 2, (before.cpu + after.cpu) / 2)


def _report(
    options: Namespace,
    rounds: SiteRounds,
    passes: list[ClassifierPass],
    answered: int,
    counted: dict[str, int],
) -> BenchReport:
    failures = sum(one.load.failures for found in rounds.values() for one in found)
    left_over = counted["done"] - answered
    rate, cpu = figures(passes, "rate", "cpu")
    variants = ["PostgreSQL"] if options.postgresql else []
    return BenchReport(
        "-".join(["endtoend", *map(str.lower, variants)]),
        ", ".join([TITLE, *variants]),
        f"`manage.py up` with REUSE_ANSWERS=0 PRECISION=f32; wrk sends {options.photos} distinct photos to `POST "
        f"/api/predict` for {options.seconds} s at a time; {options.rounds} alternating rounds, median "
        f"(lowest-highest). The ceiling is the classifier alone in batches of {BATCH_SIZE}, measured before and after "
        f"each load, while the site was idle: {rate} predictions/s, {cpu} CPU ms each.",
        _tables(rounds),
        goals=[
            Goal("no request fails", f"{failures:,} of {answered + failures:,}", failures == 0),
            Goal(
                "every answer has its row",
                f"{answered:,} answers, {counted['found']:,} rows; {left_over:,} more rows of requests that were under "
                "way when a load ended",
                counted["found"] == answered,
            ),
        ],
    )


def _tables(rounds: SiteRounds) -> list[ResultTable]:
    every = [one for found in rounds.values() for one in found]
    roles = (*NAMES, DATABASE) if any(DATABASE in one.cpu for one in every) else NAMES
    speed_columns = (
        *("clients", "predictions/s", "share of the ceiling, %", "CPU ms/prediction", "CPU ms beyond the ceiling"),
        "failures",
    )
    speed: list[tuple[TableCell, ...]] = [
        (
            str(clients),
            *figures(found, "rate", "share_of_ceiling", "total_cpu", "cpu_beyond_ceiling"),
            sum(one.load.failures for one in found),
        )
        for clients, found in rounds.items()
    ]
    latency: list[tuple[TableCell, ...]] = [
        (str(clients), *figures((one.load for one in found), "p50", "p99"), *figures(found, "generator_share"))
        for clients, found in rounds.items()
    ]
    return [
        ResultTable(speed_columns, speed),
        ResultTable(
            ("clients", "p50, ms", "p99, ms", "load generator, % of the machine's CPU"),
            latency,
            title="Time until the answer",
        ),
        ResultTable(("clients", *roles), _by_role(rounds, "cpu", roles), title="CPU ms per prediction, by process"),
        ResultTable(
            ("after clients", *roles),
            _by_role(rounds, "memory", roles),
            title="Memory (PSS, MB), by process; a worker shares OpenVINO's libraries with the ceiling's process",
        ),
    ]


def _by_role(rounds: SiteRounds, what: str, roles: Sequence[str]) -> list[tuple[TableCell, ...]]:
    return [
        (str(clients), *(Figure.of(getattr(one, what)[role] for one in found) for role in roles))
        for clients, found in rounds.items()
    ]
