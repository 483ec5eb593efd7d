"""`python -m stress report`: writes report.md and its plots from the results of the matrix."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from devtools.running import ROOT
from stress.matrix.cells import ResultsFolder
from stress.report.measured import Matrix
from stress.report.page import page
from stress.report.plots import plots


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, default=ROOT / "stress", help="folder of report.md and plots/ (stress)")


def run(options: argparse.Namespace) -> int:
    matrix = Matrix.read(ResultsFolder(options.results))
    found = list(plots(matrix))
    folder = options.output / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("*.svg"):
        leftover.unlink()
    for plot in found:
        plot.write(folder)
    file = options.output / "report.md"
    file.write_text(page(matrix, found), encoding="utf-8")
    sys.stdout.write(f"{file}: {len(matrix)} cells, {len(matrix.missing())} missing\n")
    return 0
