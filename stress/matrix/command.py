"""`python -m stress matrix`: measures cell by cell and writes the results of each."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import Progress

from devtools.processes import exit_on_signals
from devtools.running import ROOT
from stress.bench.processes import clean_environment
from stress.bench.workspace import Workspace
from stress.matrix import cells as matrix
from stress.matrix import runner
from stress.matrix.cells import Cell, CellSettings, ResultsFolder
from stress.recorder import FAILED, OK, REFUSED
from stress.report.measured import Measured
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
        failed = _measure_all(plan, workspace, photos, results, console)
    if failed:
        console.print(
            f"{plural(len(failed), 'cell')} failed: {'; '.join(map(str, failed))}. --resume tries them again."
        )
    return 1 if failed else 0


def _measure_all(
    plan: dict[Cell, CellSettings], workspace: Workspace, photos: Path, results: ResultsFolder, console: Console
) -> list[Cell]:
    """Measures all cells, and returns those that failed."""
    failed = []
    # The time left is estimated from all finished cells, because cells differ.
    with Progress(console=console, speed_estimate_period=24 * 3600) as progress:
        for cell, settings in progress.track(plan.items(), description="cells"):
            try:
                found = runner.run(cell, settings, workspace, photos)
            except (RuntimeError, AssertionError, OSError, psutil.Error) as error:
                failed.append(cell)
                console.print(f"{cell}: FAILED: {error}", markup=False)
                continue
            results.write(cell, settings, found)
            console.print(f"{cell}: {summary(Measured(cell, found))}", markup=False)
    return failed


def summary(each: Measured) -> str:
    """Summarizes a cell in one line."""
    times = ", ".join(f"{which} {ms:,.0f} ms" for which in ("p50", "p95") if (ms := each.ms(which)) is not None)
    ends = ", ".join(f"{each.count(outcome):,} {outcome}" for outcome in (OK, REFUSED, FAILED))
    return f"{each.rate:.1f} predictions/s; {times}; requests: {ends}"


def _photos(options: argparse.Namespace) -> int:
    return len([*options.photos.iterdir()]) if options.photos else 200


def _settings(options: argparse.Namespace, cell: Cell) -> CellSettings:
    return CellSettings(
        warm_up=matrix.usual_warm_up(cell.users) if options.warm_up is None else options.warm_up,
        measured=options.seconds,
        think_min=options.think[0],
        think_max=options.think[1],
        photos=_photos(options),
        precision=options.precision,
    )


def _allow_connections(users: int) -> None:
    """Raises the limit of open files, so that each user can have a connection."""
    needed = users + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    except ValueError:
        sys.exit(f"{users} users need {needed} open files, and the limit of this system is {hard}: see `ulimit -Hn`.")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _all(values: tuple[object, ...]) -> str:
    return f"default: {' '.join(map(str, values))}"
