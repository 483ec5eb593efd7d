"""The whole system under load, and how near it comes to the ceiling, which is measured in the same minutes."""

from __future__ import annotations

import contextlib
from argparse import ArgumentTypeError, Namespace, _ActionsContainer
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devtools.running import RunningSite
from stress.bench import ceiling, load
from stress.bench.ceiling import Pass
from stress.bench.postgresql import Server, postgresql
from stress.bench.processes import Contender, contender, pss_megabytes
from stress.bench.site import NAMES, Processes, running_site
from stress.bench.table import Figure, Goal, Report, Table
from stress.bench.workspace import Workspace, site_environment
from worker.inference.cores import usable_cores

TITLE = "End to end"
DATABASE = "database"
FIRST_PASSES = 3  # over the photos, to find the best batch size
WARM_UP_CLIENTS = 32


@dataclass(frozen=True)
class Round:
    """What one load brought. CPU milliseconds for each prediction, by kind of process; memory in MB."""

    load: load.Outcome
    cpu: dict[str, float]
    memory: dict[str, float]
    ceiling: Pass

    @property
    def rate(self) -> float:
        return len(self.load.answered) / self.load.seconds

    @property
    def total_cpu(self) -> float:
        return sum(self.cpu.values())


@dataclass
class Rig:
    """A running site with all that measures it."""

    site: RunningSite
    database: Contender
    processes: Processes
    photos: Sequence[Path]
    folder: Path
    new_photos: bool
    server: Server | None = None  # of the database, where that is one
    answered: list[str] = field(default_factory=list)
    sent: int = 0  # photos that have had a number of their own

    def done(self) -> int:
        return int(self.database.ask(do="done", files=[])["done"])

    def cpu_seconds(self) -> dict[str, float]:
        database = {DATABASE: self.server.cpu_seconds()} if self.server else {}
        return self.processes.cpu_seconds() | database

    def pss_megabytes(self) -> dict[str, float]:
        mine = self.server.processes() if self.server else []
        database = {DATABASE: sum(pss_megabytes(process.pid) for process in mine)} if mine else {}
        return self.processes.pss_megabytes() | database

    def send(self, clients: int, seconds: int) -> tuple[load.Outcome, dict[str, float]]:
        """One load, and the CPU milliseconds that each prediction took, by kind of process.

        wrk drops the requests that are under way when its time is over. The site answers them all the same, so the
        CPU time until it is idle again is divided by the rows that were done until then.
        """
        self.processes.wait_until_idle()
        done, before = self.done(), self.cpu_seconds()
        first = 1_000_000 * (self.sent + 1) if self.new_photos else None
        outcome = load.send(self.site.url, self.photos, self.folder, clients=clients, seconds=seconds, first=first)
        self.sent += 1
        self.processes.wait_until_idle()
        after = self.cpu_seconds()
        done = self.done() - done
        self.answered += outcome.answered
        if not done:
            raise RuntimeError(f"no prediction was answered; statuses: {outcome.statuses}\n{self.site.logs()}")
        if Processes(self.site).pids() != self.processes.pids():
            raise RuntimeError(f"processes of the site have died under the load:\n{self.site.logs()}")
        return outcome, {kind: 1000 * (after[kind] - before[kind]) / done for kind in after}


def add_options(group: _ActionsContainer) -> None:
    group.add_argument("--precision", default="f32", choices=["f32", "bf16"], help="of the network (%(default)s)")
    group.add_argument("--seconds", type=int, default=15, help="of each load (default: %(default)s)")
    group.add_argument("--warm-up", type=int, default=5, metavar="SECONDS", help="before the first (%(default)s)")
    group.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 64, 256], help="at a time (1 8 32 64 256)")
    group.add_argument(
        "--env", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="for the site; several times"
    )
    group.add_argument("--postgresql", action="store_true", help="as the site's database, instead of SQLite")
    group.add_argument(
        "--new-photos", action="store_true", help="no photo twice: each gets a number of its own, in a comment"
    )


def _setting(text: str) -> str:
    if not text.partition("=")[0].isidentifier() or "=" not in text:
        raise ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return text


def run(options: Namespace, workspace: Workspace) -> Report:
    # Whoever sends the same picture twice gets the same answer without any work, unless told otherwise.
    environment = {"REUSE_ANSWERS": "0", "PRECISION": options.precision}
    environment |= dict(setting.split("=", 1) for setting in options.env)
    data_dir = workspace.site_folder("endtoend")
    rounds: dict[int, list[Round]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        server = None
        if options.postgresql:
            server = stack.enter_context(postgresql(workspace.folder("endtoend-postgresql")))
            if server is None:
                raise RuntimeError("PostgreSQL is not installed; on Debian and Ubuntu: apt install postgresql")
            environment["DATABASE_URL"] = server.url
        sizes = sorted(set(options.batch_sizes))
        alone = stack.enter_context(ceiling.classifier(workspace, "openvino", options.precision, max(sizes)))
        workspace.say("looking for the best batch size")
        found = {size: [ceiling.measure(alone, size) for _ in range(FIRST_PASSES)] for size in sizes}
        batch_size = ceiling.best(found)
        workspace.say("starting the site")
        site = stack.enter_context(running_site(data_dir, environment))
        database = stack.enter_context(contender("site_process", environment=site_environment(data_dir) | environment))
        folder = workspace.folder("endtoend-load")
        rig = Rig(site, database, Processes(site), workspace.photos, folder, options.new_photos, server)
        workspace.say("warming up")
        rig.send(WARM_UP_CLIENTS, options.warm_up)
        passes = [ceiling.measure(alone, batch_size)]
        for number in range(options.rounds):
            for clients in options.clients:
                workspace.say(f"round {number + 1} of {options.rounds}: {clients} clients")
                outcome, cpu = rig.send(clients, options.seconds)
                memory = rig.pss_megabytes()
                passes.append(ceiling.measure(alone, batch_size))
                rounds[clients].append(Round(outcome, cpu, memory, _between(*passes[-2:])))
        rows = folder / "answered.txt"
        rows.write_text("\n".join(rig.answered))
        counted = database.ask(do="done", files=[str(rows)])
    return _report(options, environment, rounds, passes, batch_size, len(rig.answered), counted)


def _between(before: Pass, after: Pass) -> Pass:
    return Pass((before.rate + after.rate) / 2, (before.cpu + after.cpu) / 2)


def _report(
    options: Namespace,
    environment: dict[str, str],
    rounds: dict[int, list[Round]],
    passes: list[Pass],
    batch_size: int,
    answered: int,
    counted: dict[str, int],
) -> Report:
    failures = sum(one.load.failures for found in rounds.values() for one in found)
    left_over = counted["done"] - answered
    settings = " ".join(f"{name}={value}" for name, value in environment.items() if name != "DATABASE_URL")
    variants = [options.precision] if options.precision != "f32" else []
    variants += ["PostgreSQL"] if options.postgresql else []
    return Report(
        "-".join(["endtoend", *map(str.lower, variants)]),
        ", ".join([TITLE, *variants]),
        f"`manage.py up` with {settings}; wrk sends {options.photos} distinct photos to `POST /api/predict`"
        f"{', each new to the site' if options.new_photos else ''}, for {options.seconds} s at a time; "
        f"{options.rounds} rounds in turns, median (lowest-highest). The ceiling is the classifier alone in batches of "
        f"{batch_size}, measured before and after each load, while the site was idle: "
        f"{Figure.of(one.rate for one in passes)} predictions/s, {Figure.of(one.cpu for one in passes)} CPU ms each.",
        [_speed(rounds), _latency(rounds), _cpu(rounds), _memory(rounds)],
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


def _kinds(rounds: dict[int, list[Round]]) -> tuple[str, ...]:
    """Of processes."""
    has_server = any(DATABASE in one.cpu for found in rounds.values() for one in found)
    return (*NAMES, DATABASE) if has_server else NAMES


def _speed(rounds: dict[int, list[Round]]) -> Table:
    return Table(
        (
            *("clients", "predictions/s", "share of the ceiling, %", "CPU ms/prediction"),
            *("CPU ms beyond the ceiling", "failures"),
        ),
        [
            (
                str(clients),
                Figure.of(one.rate for one in found),
                Figure.of(100 * one.rate / one.ceiling.rate for one in found),
                Figure.of(one.total_cpu for one in found),
                Figure.of(one.total_cpu - one.ceiling.cpu for one in found),
                sum(one.load.failures for one in found),
            )
            for clients, found in rounds.items()
        ],
    )


def _latency(rounds: dict[int, list[Round]]) -> Table:
    return Table(
        ("clients", "p50, ms", "p99, ms", "load generator, % of the machine's CPU"),
        [
            (
                str(clients),
                Figure.of(one.load.p50 for one in found),
                Figure.of(one.load.p99 for one in found),
                Figure.of(100 * one.load.cpu_seconds / one.load.seconds / usable_cores() for one in found),
            )
            for clients, found in rounds.items()
        ],
        title="Time until the answer",
    )


def _cpu(rounds: dict[int, list[Round]]) -> Table:
    return Table(
        ("clients", *_kinds(rounds)),
        [
            (str(clients), *(Figure.of(one.cpu[name] for one in found) for name in _kinds(rounds)))
            for clients, found in rounds.items()
        ],
        title="CPU ms per prediction, by process",
    )


def _memory(rounds: dict[int, list[Round]]) -> Table:
    return Table(
        ("after clients", *_kinds(rounds)),
        [
            (str(clients), *(Figure.of(one.memory[name] for one in found) for name in _kinds(rounds)))
            for clients, found in rounds.items()
        ],
        title="Memory (PSS, MB), by process; a worker shares OpenVINO's libraries with the measuring of the ceiling",
    )
