"""The reviewing desk with a hundred thousand cases, on SQLite and PostgreSQL: server time and queries of its pages."""

from __future__ import annotations

from argparse import Namespace, _ActionsContainer

from devtools.services import ServerNotInstalled, postgresql
from stress.bench.processes import bench_process
from stress.bench.workspace import Workspace, site_environment
from stress.tables import BenchReport, Figure, Goal, ResultTable, TableCell

TITLE = "The reviewing desk"
MOST_MILLISECONDS = 100
MOST_QUERIES = 12
GOALS = ("list", "focus view", "next for me")


def add_options(group: _ActionsContainer) -> None:
    group.add_argument("--cases", type=int, default=100_000, help="number of cases (default: %(default)s)")
    group.add_argument("--statements", type=int, default=500_000, help="number of statements (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    found: dict[str, Pages] = {}
    found |= _measure("SQLite", {}, options, workspace)
    try:
        with postgresql() as server:
            found |= _measure("PostgreSQL", {"DATABASE_URL": server.url}, options, workspace)
    except ServerNotInstalled as error:
        workspace.say(f"SQLite only: {error}")
    return BenchReport(
        "review",
        TITLE,
        f"{options.cases:,} cases and {options.statements:,} statements, made by `manage.py seed_review`, on "
        f"{' and '.join(found)}. A reviewer's requests through Django's test client: all but the sockets; "
        "every request reads the session, the user and their permissions. The numbers beside the filters are counted "
        "for each page except “list, again”; a site with this many cases counts them outside the request. "
        f"{options.rounds} rounds after one that does not count, median (lowest-highest) in milliseconds.",
        [_table(found)],
        goals=[_goal(found, page) for page in GOALS],
    )


Pages = dict[str, dict[str, list[float]]]  # milliseconds and queries of each round, by page


def _measure(name: str, settings: dict[str, str], options: Namespace, workspace: Workspace) -> dict[str, Pages]:
    data_dir = workspace.folder(f"review-{name.lower()}")
    workspace.manage("migrate", "--verbosity", "0", data_dir=data_dir, **settings)
    workspace.manage("collectstatic", "--noinput", "--verbosity", "0", data_dir=data_dir, **settings)
    workspace.say(f"{name}: making {options.cases:,} cases")
    workspace.manage(
        "seed_review",
        "--generated",
        f"--cases={options.cases}",
        f"--statements={options.statements}",
        data_dir=data_dir,
        **settings,
    )
    with bench_process("review_process", environment=site_environment(data_dir) | settings) as site:
        workspace.say(f"{name}: {options.rounds} rounds")
        answer = site.ask(rounds=options.rounds)
    return {answer["version"]: answer["pages"]}


def _table(found: dict[str, Pages]) -> ResultTable:
    columns = ["page"]
    for database in found:
        columns += [f"{database}, ms", f"{database}, queries"]
    rows: list[list[TableCell]] = []
    for page in next(iter(found.values())):
        row: list[TableCell] = [page]
        for pages in found.values():
            row += [Figure.of(pages[page]["milliseconds"]), int(max(pages[page]["queries"]))]
        rows.append(row)
    return ResultTable(columns, rows)


def _goal(found: dict[str, Pages], page: str) -> Goal:
    times = {database: Figure.of(pages[page]["milliseconds"]).median for database, pages in found.items()}
    queries = max(max(pages[page]["queries"]) for pages in found.values())
    return Goal(
        f"{page} within {MOST_MILLISECONDS} ms and {MOST_QUERIES} queries",
        ", ".join(f"{time:.0f} ms on {database}" for database, time in times.items()) + f", {queries:.0f} queries",
        max(times.values()) <= MOST_MILLISECONDS and queries <= MOST_QUERIES,
    )
