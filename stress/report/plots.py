"""The report's line plots, as SVG files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from stress.report.measured import SYSTEM, Matrix, Measured
from stress.tables import plural

BATCH_SIZE = 32  # of the plots by workers: the site's default, if it was measured
MOST_LINES = 4
# Dashes and markers distinguish the lines where colours do not.
STYLES = (("#0550ae", "-", "o"), ("#953800", "--", "s"), ("#1a7f37", ":", "^"), ("#6639ba", "-.", "D"))
# The same figures give the same bytes. Text stays text, in the reader's font.
SVG: Any = {"svg.hashsalt": "stress", "svg.fonttype": "none", "font.family": "sans-serif", "axes.spines.top": False}
SVG |= {"axes.spines.right": False, "axes.grid": True, "grid.color": "#d1d9e0"}

Value = Callable[[Measured], float | None]
Lines = dict[str, Sequence[tuple[float, float]]]  # points by name


@dataclass(frozen=True)
class LinePlot:
    """Up to four lines. A logarithmic axis leaves out zeros. `name` is the file's, without its suffix."""

    name: str
    title: str
    x_title: str
    y_title: str
    lines: Lines
    x_log: bool = False
    y_log: bool = False
    markers: bool = True

    def write(self, folder: Path) -> None:
        with mpl.rc_context(SVG):
            canvas = Canvas(figsize=(8, 4), layout="constrained")
            axes = canvas.add_subplot(title=self.title, xlabel=self.x_title, ylabel=self.y_title)
            for (colour, dashes, marker), (name, points) in zip(STYLES, self.lines.items(), strict=False):
                x, y = zip(*points, strict=True)
                shape = marker if self.markers else None
                axes.plot(x, y, label=name, color=colour, linestyle=dashes, marker=shape, markerfacecolor="white")
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handlelength=3)
            if self.x_log:
                axes.set_xscale("log")
                axes.set_xticks(sorted({x for points in self.lines.values() for x, _ in points}))
            if self.y_log:
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter("{x:,.0f}")
            axes.minorticks_off()
            canvas.savefig(folder / f"{self.name}.svg", metadata={"Date": None, "Creator": None})


def plots(matrix: Matrix) -> Iterator[LinePlot]:
    """Yields the plots of each engine."""
    for engine in matrix.values(lambda cell: cell.engine):
        sizes = matrix.values(lambda cell: cell.batch_size)
        size = BATCH_SIZE if BATCH_SIZE in sizes else sizes[-1]
        yield _by_workers(matrix, engine, size, "throughput", "predictions per second", lambda each: each.rate)
        for which in ("p50", "p95", "p99"):
            value = partial(Measured.ms, which=which)
            yield _by_workers(matrix, engine, size, which, f"{which} of /api/predict, ms", value, y_log=True)
        yield _by_batch_size(matrix, engine, "batching", "predictions per second", lambda each: each.rate)
        title = "CPU ms per prediction, whole system"
        yield _by_batch_size(matrix, engine, "cpu", title, lambda each: each.cpu_ms(*SYSTEM))
        yield _queue(matrix, engine, size)


def _lines(curves: dict[str, list[Measured]], value: Value) -> Lines:
    """Leaves out cells without a value, and curves without any."""
    lines = {
        name: [(each.cell.users, found) for each in curve if (found := value(each)) is not None]
        for name, curve in curves.items()
    }
    return {name: points for name, points in lines.items() if points}


def _by_workers(
    matrix: Matrix, engine: str, size: int, name: str, y_title: str, value: Value, *, y_log: bool = False
) -> LinePlot:
    workers = matrix.values(lambda cell: cell.workers)[:MOST_LINES]
    lines = _lines({plural(count, "worker"): matrix.curve(engine, count, size) for count in workers}, value)
    title = f"{engine}, batches of up to {size}"
    return LinePlot(f"{engine}-{name}", title, "users", y_title, lines, x_log=True, y_log=y_log)


def _by_batch_size(matrix: Matrix, engine: str, name: str, y_title: str, value: Value) -> LinePlot:
    workers = matrix.values(lambda cell: cell.workers)[0]
    sizes = matrix.values(lambda cell: cell.batch_size)[:MOST_LINES]
    lines = _lines({f"batch {size}": matrix.curve(engine, workers, size) for size in sizes}, value)
    title = f"{engine}, {plural(workers, 'worker')}, with and without batching"
    return LinePlot(f"{engine}-{name}", title, "users", y_title, lines, x_log=True)


def _queue(matrix: Matrix, engine: str, size: int) -> LinePlot:
    workers = matrix.values(lambda cell: cell.workers)[0]
    curve = matrix.curve(engine, workers, size)[-MOST_LINES:]
    lines: Lines = {f"{each.cell.users:,} users": each.found["queue_length"] for each in curve}
    title = f"{engine}, {plural(workers, 'worker')}, batches of up to {size}"
    x_title, y_title = "seconds since measuring began", "waiting jobs"
    return LinePlot(f"{engine}-queue", title, x_title, y_title, lines, markers=False)
