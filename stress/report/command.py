"""`python -m stress report`: writes report.md and its plots from what the matrix has kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stress.bench.processes import ROOT
from stress.matrix.cells import Results
from stress.report.measured import Matrix
from stress.report.page import page
from stress.report.plots import charts


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=ROOT / "stress" / "results", help="folder (stress/results)")
    parser.add_argument("--output", type=Path, default=ROOT / "stress", help="folder of report.md and plots/ (stress)")


def run(options: argparse.Namespace) -> int:
    matrix = Matrix.read(Results(options.results))
    found = list(charts(matrix))
    plots = options.output / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    for leftover in plots.glob("*.svg"):
        leftover.unlink()
    for name, chart in found:
        (plots / f"{name}.svg").write_text(chart.svg(), encoding="utf-8")
    file = options.output / "report.md"
    file.write_text(page(matrix, found), encoding="utf-8")
    sys.stdout.write(f"{file}: {len(matrix)} cells, {len(matrix.missing())} missing\n")
    return 0
