"""The cost of computing and storing the features of images, on SQLite and PostgreSQL."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer

from devtools.services import ServerNotInstalled, embedded_queue, postgresql
from stress.bench.processes import bench_process
from stress.bench.workspace import Workspace, site_environment
from stress.tables import BenchReport, Figure, Goal, ResultTable, TableCell

TITLE = "Features"
MOST_MILLISECONDS = 0.3
COLUMNS = ("", "EMBEDDINGS=off, CPU ms/prediction", "EMBEDDINGS=on, CPU ms/prediction", "difference")

Costs = dict[str, list[dict[str, float]]]  # the costs of each round, by what was measured


def add_options(group: _ActionsContainer) -> None:
    group.add_argument("--feature-batch", type=int, default=32, help="photos of a batch (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    found = _measure("SQLite", {}, options, workspace)
    try:
        with postgresql() as server:
            found |= _measure("PostgreSQL", {"DATABASE_URL": server.url}, options, workspace)
    except ServerNotInstalled as error:
        workspace.say(f"SQLite only: {error}")
    differences = {name: Figure.of(one["on"] - one["off"] for one in rounds) for name, rounds in found.items()}
    rows: list[list[TableCell]] = [
        [name, *(Figure.of(one[case] for one in rounds) for case in ("off", "on")), differences[name]]
        for name, rounds in found.items()
    ]
    return BenchReport(
        "embeddings",
        TITLE,
        f"{len(workspace.photos)} photos, answered by the code of the worker in batches of {options.feature_batch} in "
        "one process, which alternates between both cases batch by batch; the network computes in one thread. "
        "“Recorded answers” leaves out decoding and the network: what remains is the database and the announcement. "
        f"CPU time of the worker, the median of a round's batches; {options.rounds} rounds, median (lowest-highest).",
        [ResultTable(COLUMNS, rows)],
        goals=[
            Goal(
                f"at most {MOST_MILLISECONDS} ms of the worker's CPU per prediction ({name})",
                f"{difference}",
                difference.median <= MOST_MILLISECONDS,
            )
            for name, difference in differences.items()
        ],
    )


def _measure(name: str, settings: dict[str, str], options: Namespace, workspace: Workspace) -> Costs:
    data_dir = workspace.site_folder(f"embeddings-{name.lower()}")
    found: Costs = {f"{name}, everything": [], f"{name}, recorded answers": []}
    with embedded_queue(workspace.folder(f"embeddings-queue-{name.lower()}")) as address:
        environment = site_environment(data_dir) | settings | {"REDIS_URL": address}
        workspace.manage("migrate", "--verbosity", "0", data_dir=data_dir, **settings)
        arguments = (str(options.feature_batch), *map(str, workspace.photos))
        with bench_process("embeddings_process", *arguments, environment=environment) as process:
            for number in range(-1, options.rounds):  # the first one does not count
                workspace.say(f"{name}: round {number + 1} of {options.rounds}")
                for label, is_computed in zip(found, (True, False), strict=True):
                    took = process.ask(is_computed=is_computed)
                    if number >= 0:
                        found[label].append(took)
    return found
