"""`python -m stress model`: compares the model's forecast for each cell with its results."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from stress.bench.files import with_part
from stress.matrix.cells import Cell, CellSettings, ResultsFolder
from stress.model.costs import Costs, calibration, costs
from stress.model.queueing import Forecast, forecast
from stress.report.conclusions import HEADROOM
from stress.report.measured import Matrix, Measured
from stress.tables import ResultTable, number, plural, wrapped

GOAL = 0.2
ENOUGH = 100  # predictions: chance moves their number by its square root, and twice that is the goal
TARGETS = (1_000, 100_000)  # predictions per second


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its `model` comments")


def run(options: argparse.Namespace) -> int:
    matrix = Matrix.read(ResultsFolder(options.results))
    used = calibration(matrix)
    try:
        found = costs(used)
    except ValueError as error:
        sys.stderr.write(f"The costs cannot be estimated: {error}.\n")
        return 1
    text = describe(matrix, used, found)
    sys.stdout.write(text + "\n")
    if options.page:
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(with_part(page, "model", text), encoding="utf-8")
    return 0


def describe(matrix: Matrix, used: list[Measured], found: Costs) -> str:
    calibrating = {each.cell for each in used}
    cells = [each for each in matrix if any(each.cell.engine == engine for engine, _ in found.engines)]
    forecasts = [(each, _forecast(each, found)) for each in cells]
    return "\n\n".join(
        [
            f"The costs, estimated from {len(used)} of {len(matrix)} cells:",
            _costs_table(found).as_markdown(),
            "Every cell as measured and as forecast; * marks the cells that the costs were estimated from:",
            _cells_table(forecasts, calibrating).as_markdown(),
            _verdict([(each, expected) for each, expected in forecasts if each.cell not in calibrating]),
            "The cores that follow:",
            _sizes_table(found).as_markdown(),
        ]
    )


def _forecast(each: Measured, found: Costs) -> Forecast:
    """Forecasts a cell for the machine without the CPU time that other programs took."""
    return forecast(
        each.cell, CellSettings(**each.found["settings"]), found, other_cores=each.others_share * each.cores
    )


def error(expected: float, measured: float) -> float:
    """Returns the forecast's error, relative to the result."""
    return expected / measured - 1 if measured else 0.0


def _costs_table(found: Costs) -> ResultTable:
    rows = [
        ("web, a prediction", _ms(found.web_prediction)),
        ("web, a page with its files", _ms(found.web_page)),
        ("web, a refusal", _ms(found.web_refusal)),
        ("queue and supervision, a prediction", _ms(found.rest_prediction)),
        ("load generator, a request", _ms(found.generator_request)),
    ]
    for (engine, workers), each in found.engines.items():
        rows.append((f"{engine}, {plural(workers, 'worker')}, a prediction", _ms(each.each)))
        rows.append((f"{engine}, {plural(workers, 'worker')}, a batch", _ms(each.batch)))
    rows.append(("usable share of the cores' time", f"{found.usable:.0%}"))
    rows.append(("waiting time where most are refused, of the longest", f"{found.queue_filled:.0%}"))
    return ResultTable(("", "CPU ms"), rows)


def _cells_table(forecasts: list[tuple[Measured, Forecast]], calibrating: set[Cell]) -> ResultTable:
    heads = ("", "predictions/s", "model", "off by", "mean ms", "model", "off by", "refused", "model")
    rows = []
    for each, expected in forecasts:
        mean = each.ms("mean")
        rows.append(
            (
                f"{each.cell}{' *' if each.cell in calibrating else ''}",
                number(each.rate),
                number(expected.rate),
                f"{error(expected.rate, each.rate):+.0%}",
                "–" if mean is None else f"{mean:,.0f}",
                f"{1000 * expected.seconds:,.0f}",
                "–" if mean is None else f"{error(1000 * expected.seconds, mean):+.0%}",
                f"{each.refused_share:.0%}",
                f"{expected.refused:.0%}",
            )
        )
    return ResultTable(heads, rows)


def _verdict(forecasts: list[tuple[Measured, Forecast]]) -> str:
    """Summarizes the errors of the cells that the costs were not estimated from."""
    every = len(forecasts)
    forecasts = [(each, expected) for each, expected in forecasts if each.rate * each.seconds >= ENOUGH]
    if not forecasts:
        return "No cells were measured that can test the model."
    few = every - len(forecasts)
    off = [abs(error(expected.rate, each.rate)) for each, expected in forecasts]
    late = [abs(error(1000 * expected.seconds, mean)) for each, expected in forecasts if (mean := each.ms("mean"))]
    good = sum(1 for value in off if value <= GOAL)
    text = (
        f"{'Goal met' if good == len(off) else 'GOAL MISSED'}: the rate within {GOAL:.0%} in every cell that the costs "
        f"were not estimated from. Found: {good} of {len(off)}; half of them within {statistics.median(off):.0%}, the "
        f"worst off by {max(off):.0%}."
    )
    if few:
        text += (
            f" Not counted: {few} with fewer than {ENOUGH} predictions, where chance alone moves the rate by "
            f"{2 / ENOUGH**0.5:.0%}."
        )
    if late:
        within = sum(1 for value in late if value <= GOAL)
        text += (
            f" Mean time until the API's answer: {within} of {len(late)} within {GOAL:.0%}, half of them within "
            f"{statistics.median(late):.0%}."
        )
    return wrapped(text)


def _sizes_table(found: Costs) -> ResultTable:
    """Returns the cores for some rates with full batches, if cores are busy for 70 % of the time."""
    rows = []
    for (engine, workers), each in found.engines.items():
        for rate in TARGETS:
            worker, web = each.prediction(32), found.web_prediction
            cores = [rate * value / HEADROOM for value in (worker, web, found.rest_prediction)]
            rows.append(
                (
                    f"{engine}, {plural(workers, 'worker')}, {rate:,} predictions/s",
                    *(number(value) for value in (*cores, sum(cores))),
                )
            )
    return ResultTable(("", "cores for workers", "for web processes", "for the queue", "together"), rows)


def _ms(seconds: float) -> str:
    return number(1000 * seconds)
