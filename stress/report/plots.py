"""The report's plots: which lines each has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stress.report.measured import SYSTEM, Matrix, Measured
from stress.report.plot import Chart, Series

BATCH_SIZE = 32  # the default, which the plots of workers are drawn for, if it was measured
MOST_LINES = 4

Value = Callable[[Measured], float | None]


def charts(matrix: Matrix) -> Iterator[tuple[str, Chart]]:
    """(file name without ending, chart), by engine."""
    for engine in matrix.values(lambda cell: cell.engine):
        batch_size = _shown(matrix.values(lambda cell: cell.batch_size), BATCH_SIZE)
        yield f"{engine}-throughput", _by_workers(matrix, engine, batch_size, "predictions per second", _rate)
        for which in ("p50", "p95", "p99"):
            title = f"{which} of /api/predict, ms"
            yield f"{engine}-{which}", _by_workers(matrix, engine, batch_size, title, _time(which), y_log=True)
        yield f"{engine}-batching", _by_batch_size(matrix, engine, "predictions per second", _rate)
        yield f"{engine}-cpu", _by_batch_size(matrix, engine, "CPU ms per prediction, whole system", _cpu)
        yield f"{engine}-queue", _queue(matrix, engine, batch_size)


def _shown(values: list[int], wanted: int) -> int:
    return wanted if wanted in values else values[-1]


def _rate(each: Measured) -> float | None:
    return each.rate


def _cpu(each: Measured) -> float | None:
    return each.cpu_ms(*SYSTEM)


def _time(which: str) -> Value:
    return lambda each: each.ms(which)


def _line(name: str, curve: list[Measured], value: Value) -> Series:
    points = [(each.cell.users, found) for each in curve if (found := value(each)) is not None]
    return Series(name, points)


def _by_workers(
    matrix: Matrix, engine: str, batch_size: int, title: str, value: Value, *, y_log: bool = False
) -> Chart:
    workers = matrix.values(lambda cell: cell.workers)[:MOST_LINES]
    lines = [
        _line(f"{number} worker{'' if number == 1 else 's'}", matrix.curve(engine, number, batch_size), value)
        for number in workers
    ]
    return Chart(f"{engine}, batches of up to {batch_size}", "users", title, lines, x_log=True, y_log=y_log)


def _by_batch_size(matrix: Matrix, engine: str, title: str, value: Value) -> Chart:
    workers = matrix.values(lambda cell: cell.workers)[0]
    sizes = matrix.values(lambda cell: cell.batch_size)[:MOST_LINES]
    lines = [_line(f"batch {size}", matrix.curve(engine, workers, size), value) for size in sizes]
    heading = f"{engine}, {workers} worker{'' if workers == 1 else 's'}, with and without batching"
    return Chart(heading, "users", title, lines, x_log=True)


def _queue(matrix: Matrix, engine: str, batch_size: int) -> Chart:
    workers = matrix.values(lambda cell: cell.workers)[0]
    curve = matrix.curve(engine, workers, batch_size)[-MOST_LINES:]
    lines = [Series(f"{each.cell.users:,} users", [(t, n) for t, n in each.found["queue_length"]]) for each in curve]
    heading = f"{engine}, {workers} worker{'' if workers == 1 else 's'}, batches of up to {batch_size}"
    return Chart(heading, "seconds since measuring began", "jobs that no worker has taken yet", lines, markers=False)
