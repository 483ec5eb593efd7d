"""`python -m stress.bench [names...]`: runs benchmarks, all of them if none is named."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from devtools.browsing import CHROMIUM_NAMES
from devtools.processes import exit_on_signals
from devtools.running import ROOT
from devtools.services import ServerNotInstalled
from stress.bench import (
    activation,
    bookkeeping,
    ceiling,
    depth,
    embeddings,
    endtoend,
    files,
    machine,
    pages,
    review,
    start,
    workers,
)
from stress.bench.processes import clean_environment
from stress.bench.workspace import Workspace
from stress.tables import BenchReport


class Benchmark(Protocol):
    """The interface of a benchmark's module."""

    TITLE: str

    def add_options(self, group: argparse._ActionsContainer) -> None: ...

    def run(self, options: argparse.Namespace, workspace: Workspace) -> BenchReport: ...


BENCHMARKS: dict[str, Benchmark] = {
    "bookkeeping": bookkeeping,
    "ceiling": ceiling,
    "endtoend": endtoend,
    "depth": depth,
    "workers": workers,
    "start": start,
    "activation": activation,
    "review": review,
    "pages": pages,
    "embeddings": embeddings,
}


def main() -> None:
    options = _options()
    exit_on_signals()
    clean_environment()
    output = options.output
    results = output / "results.json" if output else Path(__file__).with_name("results.json")
    page = output / "performance.md" if output else ROOT / "docs" / "performance.md"
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        workspace = Workspace(Path(temporary), options.cache.resolve(), options.photos)
        for name in options.names or BENCHMARKS:
            benchmark = BENCHMARKS[name]
            workspace.say(f"{name}: {benchmark.TITLE}")
            described = machine.describe()
            try:
                report = benchmark.run(options, workspace)
            except ServerNotInstalled as error:
                sys.exit(f"{name} {error}")
            sys.stdout.write(f"\n{report.title}\n\n{report.as_markdown()}\n\n{machine.sentence(described)}\n\n")
            sys.stdout.flush()
            # At once, so that interrupting the next benchmark does not lose these figures.
            files.write(report, described, _as_json(options, benchmark), results=results, page=page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stress.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each benchmark (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=200, help="distinct photos (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="folder for results.json and performance.md (default: the project)")
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "bench", help="photos and model (%(default)s)")
    for name, benchmark in BENCHMARKS.items():
        benchmark.add_options(parser.add_argument_group(name, benchmark.TITLE))
    options = parser.parse_args()
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name!r}: {', '.join(BENCHMARKS)}")
    if options.rounds < 1 or options.photos < 1:
        parser.error("--rounds and --photos are at least 1")
    if shutil.which("wrk") is None and "endtoend" in (options.names or BENCHMARKS):
        # Checked first, because the other benchmarks take an hour.
        parser.error("endtoend needs wrk, which is not installed; on Debian and Ubuntu: apt install wrk")
    if not any(map(shutil.which, CHROMIUM_NAMES)) and "pages" in (options.names or BENCHMARKS):
        parser.error("pages needs Chromium, which is not installed; on Debian and Ubuntu: apt install chromium")
    return options


def _as_json(options: argparse.Namespace, benchmark: Benchmark) -> dict[str, object]:
    """Returns the options that affect this benchmark: the general ones and its own."""
    own = argparse.ArgumentParser()
    benchmark.add_options(own)
    return {name: getattr(options, name) for name in ("rounds", "photos", *vars(own.parse_args([])))}


if __name__ == "__main__":
    main()
