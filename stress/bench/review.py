"""The reviewing desk with a hundred thousand cases, on SQLite and PostgreSQL: server time and queries of its pages."""

from __future__ import annotations

import contextlib
from argparse import Namespace, _ActionsContainer
from collections.abc import Iterator
from pathlib import Path

from stress.bench.postgresql import postgresql
from stress.bench.processes import contender
from stress.bench.table import Figure, Goal, Report, Table
from stress.bench.workspace import Workspace, site_environment

TITLE = "The reviewing desk"
MOST_MILLISECONDS = 100
MOST_QUERIES = 12
GOALS = ("list", "focus view", "next for me")


def add_options(group: _ActionsContainer) -> None:
    group.add_argument("--cases", type=int, default=100_000, help="default: %(default)s")
    group.add_argument("--statements", type=int, default=500_000, help="about them (default: %(default)s)")


def run(options: Namespace, workspace: Workspace) -> Report:
    found: dict[str, Pages] = {}
    with _sqlite(workspace) as environment:
        found |= _measure("SQLite", environment, options, workspace)
    with _postgresql(workspace) as environment:
        if environment is None:
            workspace.say("PostgreSQL is not installed; on Debian and Ubuntu: apt install postgresql")
        else:
            found |= _measure("PostgreSQL", environment, options, workspace)
    return Report(
        "review",
        TITLE,
        f"{options.cases:,} cases and {options.statements:,} statements, made by `manage.py seed_review`, on "
        f"{' and '.join(found)}. A reviewer's requests through Django's test client: all but the sockets; "
        "the session, the user and his permissions are read anew each time. The numbers beside the filters are counted "
        "anew for each page but “list, again”; a site counts so many beside the request, and shows the last ones. "
        f"{options.rounds} rounds after one that does not count, median (lowest-highest) in milliseconds.",
        [_table(found)],
        goals=[_goal(found, page) for page in GOALS],
    )


Pages = dict[str, dict[str, list[float]]]


def _measure(name: str, environment: dict[str, str], options: Namespace, workspace: Workspace) -> dict[str, Pages]:
    data_dir = Path(environment["DATA_DIR"])
    settings = {key: value for key, value in environment.items() if key == "DATABASE_URL"}
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
    with contender("review_process", environment=environment) as site:
        workspace.say(f"{name}: {options.rounds} rounds")
        answer = site.ask(rounds=options.rounds)
    return {answer["version"]: answer["pages"]}


def _table(found: dict[str, Pages]) -> Table:
    columns = ["page"]
    for database in found:
        columns += [f"{database}, ms", "queries"]
    rows: list[list[str | int | Figure]] = []
    for page in next(iter(found.values())):
        row: list[str | int | Figure] = [page]
        for pages in found.values():
            row += [Figure.of(pages[page]["milliseconds"]), int(max(pages[page]["queries"]))]
        rows.append(row)
    return Table(_distinct(columns), rows)


def _distinct(columns: list[str]) -> list[str]:
    """Column heads are names in the JSON file, so that no two may be the same."""
    return [f"{name}{' ' * columns[:place].count(name)}" for place, name in enumerate(columns)]


def _goal(found: dict[str, Pages], page: str) -> Goal:
    times = {database: Figure.of(pages[page]["milliseconds"]).median for database, pages in found.items()}
    queries = max(max(pages[page]["queries"]) for pages in found.values())
    return Goal(
        f"{page} within {MOST_MILLISECONDS} ms and {MOST_QUERIES} queries",
        ", ".join(f"{time:.0f} ms on {database}" for database, time in times.items()) + f", {queries:.0f} queries",
        max(times.values()) <= MOST_MILLISECONDS and queries <= MOST_QUERIES,
    )


# --- Databases ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _sqlite(workspace: Workspace) -> Iterator[dict[str, str]]:
    yield site_environment(workspace.folder("review-sqlite"))


@contextlib.contextmanager
def _postgresql(workspace: Workspace) -> Iterator[dict[str, str] | None]:
    """`None` where it is not installed."""
    with postgresql(workspace.folder("review-postgresql")) as server:
        if server is None:
            yield None
            return
        site = workspace.folder("review-postgresql-site")
        yield site_environment(site) | {"DATABASE_URL": server.url}
