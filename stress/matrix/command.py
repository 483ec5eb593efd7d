"""`python -m stress matrix`: measures cell by cell and writes the results of each."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from devtools.processes import exit_on_signals
from devtools.running import ROOT
from stress.bench.processes import clean_environment
from stress.bench.workspace import Workspace
from stress.matrix import cells as matrix
from stress.matrix import runner
from stress.matrix.cells import Cell, CellSettings, ResultsFolder
from stress.recorder import FAILED, OK, REFUSED
from stress.tables import plural


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--users", type=_positive, nargs="+", default=matrix.USERS, help=_all(matrix.USERS))
    parser.add_argument("--workers", type=_positive, nargs="+", default=matrix.WORKERS, help=_all(matrix.WORKERS))
    parser.add_argument("--batch", type=_positive, nargs="+", default=matrix.BATCH_SIZES, help=_all(matrix.BATCH_SIZES))
    parser.add_argument(
        "--engine", choices=matrix.ENGINES, nargs="+", default=matrix.ENGINES, help=_all(matrix.ENGINES)
    )
    parser.add_argument("--resume", action="store_true", help="skip cells that were measured with the same settings")
    parser.add_argument(
        "--warm-up", type=float, metavar="SECONDS", help="before measuring (10; from 1,000 users on 50)"
    )
    parser.add_argument("--seconds", type=float, default=15, help="measured in each cell (15)")
    parser.add_argument(
        "--think", type=float, nargs=2, default=(2, 8), metavar=("MIN", "MAX"), help="thinking time (2 8)"
    )
    parser.add_argument("--visitors", type=int, default=2, help="share of the users (2)")
    parser.add_argument("--api-clients", type=int, default=6, help="share of the users (6)")
    parser.add_argument("--people", type=int, default=2, help="share of the users (2)")
    parser.add_argument("--reviewers", type=int, default=1, choices=(0, 1), help="how many there are (1)")
    parser.add_argument("--impatient", action="store_true", help="users ignore Retry-After")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="precision of OpenVINO (f32)")
    parser.add_argument("--photos", type=Path, help="folder of pictures (default: 200 made of sample photos)")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "var" / "bench", help="cached model and photos (var/bench)"
    )
    parser.add_argument("--list", action="store_true", help="only list the cells that would be measured")


def run(options: argparse.Namespace) -> int:
    exit_on_signals()
    results = ResultsFolder(options.results)
    asked = matrix.cells(
        engines=options.engine, batch_sizes=options.batch, workers=options.workers, users=options.users
    )
    plan = {cell: _settings(options, cell) for cell in asked}
    if options.resume:
        plan = {cell: settings for cell, settings in plan.items() if not results.has(cell, settings)}
    # Standard error, on which rich writes no escape codes if it is not a terminal.
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    minutes = sum(map(runner.expected_seconds, plan.values())) / 60
    console.print(
        f"{len(plan)} of {len(asked)} cells to measure, about {minutes:.0f} minutes, and more under heavy load. "
        "Ctrl-C keeps the finished cells; --resume continues."
    )
    if options.list:
        for cell in plan:
            console.print(str(cell))
        return 0
    _allow_connections(max(options.users))
    clean_environment()
    with tempfile.TemporaryDirectory(prefix="stress-") as temporary:
        workspace = Workspace(Path(temporary), options.cache.resolve(), _photos(options))
        photos = options.photos.resolve() if options.photos else workspace.photos[0].parent
        failed = _measure_all(plan, runner.CellRunner(workspace, photos), results, console)
    if failed:
        console.print(
            f"{plural(len(failed), 'cell')} failed: {'; '.join(map(str, failed))}. --resume tries them again."
        )
    return 1 if failed else 0


def _measure_all(
    plan: dict[Cell, CellSettings], cells: runner.CellRunner, results: ResultsFolder, console: Console
) -> list[Cell]:
    """Measures all cells, and returns those that failed."""
    failed = []
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn()),
    )
    # Estimate the time left from all finished cells, because cells differ.
    with Progress(*columns, console=console, speed_estimate_period=24 * 3600) as progress:
        task = progress.add_task("", total=len(plan))
        for number, (cell, settings) in enumerate(plan.items()):
            progress.update(task, description=str(cell), completed=number)
            try:
                found = cells.run(cell, settings, _advance(progress, task, number, settings))
            except (RuntimeError, AssertionError, OSError) as error:
                failed.append(cell)
                console.print(f"{cell}: FAILED: {error}", markup=False)
                continue
            results.write(cell, settings, found)
            console.print(f"{cell}: {summary(found)}", markup=False)
        progress.update(task, completed=len(plan))
    return failed


def _advance(progress: Progress, task: TaskID, number: int, settings: CellSettings) -> runner.Advance:
    each = runner.expected_seconds(settings)
    return lambda seconds: progress.update(task, completed=number + min(seconds / each, 0.99))


def summary(found: dict[str, Any]) -> str:
    """Summarizes a cell in one line."""
    predict = found["requests"].get("/api/predict", {})
    index = found["requests"].get("/", {}).get(OK, {})
    total = {
        outcome: sum(kinds[outcome]["started"] for kinds in found["requests"].values() if outcome in kinds)
        for outcome in (OK, REFUSED, FAILED)
    }
    rate = found["rows"]["answered"] / found["seconds"]
    return (
        f"{rate:.1f} predictions/s, p50 {_ms(predict.get(OK, {}).get('p50'))}, "
        f"p95 {_ms(predict.get(OK, {}).get('p95'))}, "
        f"index p99 {_ms(index.get('p99'))}; {total[OK]:,} answers, {total[REFUSED]:,} refusals "
        f"(p99 {_ms(predict.get(REFUSED, {}).get('p99'))}), {total[FAILED]:,} failures"
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"


def _photos(options: argparse.Namespace) -> int:
    return len([*options.photos.iterdir()]) if options.photos else 200


def _settings(options: argparse.Namespace, cell: Cell) -> CellSettings:
    return CellSettings(
        warm_up=matrix.usual_warm_up(cell.users) if options.warm_up is None else options.warm_up,
        measured=options.seconds,
        think_min=options.think[0],
        think_max=options.think[1],
        visitor_weight=options.visitors,
        api_weight=options.api_clients,
        person_weight=options.people,
        reviewers=options.reviewers,
        patient=not options.impatient,
        photos=_photos(options),
        precision=options.precision,
    )


def _allow_connections(users: int) -> None:
    """Raises the limit of open files, so that each user can have a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = users + 1000
    if hard != resource.RLIM_INFINITY and hard < needed:
        sys.exit(f"{users} users need {needed} open files, and the limit of this system is {hard}: see `ulimit -Hn`.")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else hard, hard))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _all(values: tuple[object, ...]) -> str:
    return f"default: {' '.join(map(str, values))}"
