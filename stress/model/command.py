"""`python -m stress model`: what the model says of each measured cell, and how far off it is."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from stress.bench.processes import ROOT
from stress.bench.table import Table, number, wrapped
from stress.matrix.cells import Cell, Results, Settings
from stress.model.costs import Costs, calibration, costs
from stress.model.queueing import Forecast, forecast
from stress.report.measured import Matrix, Measured

GOAL = 0.2
ENOUGH = 100  # predictions: their number varies by its root, so that twice that is the goal
HEADROOM = 0.7
TARGETS = (1_000, 100_000)  # predictions per second


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=ROOT / "stress" / "results", help="folder (stress/results)")
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its comments")


def run(options: argparse.Namespace) -> int:
    matrix = Matrix.read(Results(options.results))
    used = calibration(matrix)
    try:
        found = costs(used)
    except ValueError as error:
        sys.stderr.write(f"There is nothing to tell the costs from: it {error}.\n")
        return 1
    text = describe(matrix, used, found)
    sys.stdout.write(text + "\n")
    if options.page:
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(with_part(page, text), encoding="utf-8")
    return 0


def describe(matrix: Matrix, used: list[Measured], found: Costs) -> str:
    told = {each.cell for each in used}
    cells = [each for each in matrix if any(each.cell.engine == engine for engine, _ in found.engines)]
    forecasts = [(each, _forecast(each, found)) for each in cells]
    return "\n\n".join(
        [
            f"The costs, told from {len(used)} of {len(matrix)} cells:",
            _costs_table(found).as_markdown(),
            "What the model says of every cell, and what was measured; those that the costs were told from have a *:",
            _cells_table(forecasts, told).as_markdown(),
            _verdict([(each, said) for each, said in forecasts if each.cell not in told]),
            "What it takes, at that:",
            _sizes_table(found).as_markdown(),
        ]
    )


def _forecast(each: Measured, found: Costs) -> Forecast:
    """For the machine as it was, without what other programs took of it."""
    return forecast(each.cell, Settings(**each.found["settings"]), found, gone=each.others_share * each.cores)


def error(said: float, measured: float) -> float:
    """Relative to what was measured."""
    return said / measured - 1 if measured else 0.0


def _costs_table(found: Costs) -> Table:
    rows = [
        ("web, a prediction", _ms(found.web_prediction)),
        ("web, a page with its files", _ms(found.web_page)),
        ("web, a refusal", _ms(found.web_refusal)),
        ("queue and supervision, a prediction", _ms(found.rest_prediction)),
        ("load generator, a request", _ms(found.generator_request)),
    ]
    for (engine, workers), each in found.engines.items():
        rows.append((f"{_workers(engine, workers)}, a prediction", _ms(each.each)))
        rows.append((f"{_workers(engine, workers)}, a batch", _ms(each.batch)))
    rows.append(("of the cores' time that can be used", f"{found.usable:.0%}"))
    rows.append(("of the longest queue, where most are refused", f"{found.queue_filled:.0%}"))
    return Table(("", "CPU ms"), rows)


def _cells_table(forecasts: list[tuple[Measured, Forecast]], told: set[Cell]) -> Table:
    heads = ("", "predictions/s", "model", "off by", "mean ms", "model", "off by", "refused", "model")
    rows = []
    for each, said in forecasts:
        mean = each.ms("mean")
        rows.append(
            (
                f"{each.cell}{' *' if each.cell in told else ''}",
                number(each.rate),
                number(said.rate),
                f"{error(said.rate, each.rate):+.0%}",
                "–" if mean is None else f"{mean:,.0f}",
                f"{1000 * said.seconds:,.0f}",
                "–" if mean is None else f"{error(1000 * said.seconds, mean):+.0%}",
                f"{each.refused_share:.0%}",
                f"{said.refused:.0%}",
            )
        )
    return Table(heads, rows)


def _verdict(forecasts: list[tuple[Measured, Forecast]]) -> str:
    """Of the cells that the costs were not told from."""
    every = len(forecasts)
    forecasts = [(each, said) for each, said in forecasts if each.rate * each.seconds >= ENOUGH]
    if not forecasts:
        return "No cells were measured that can test the model."
    few = every - len(forecasts)
    off = [abs(error(said.rate, each.rate)) for each, said in forecasts]
    late = [abs(error(1000 * said.seconds, mean)) for each, said in forecasts if (mean := each.ms("mean"))]
    good = sum(1 for value in off if value <= GOAL)
    text = (
        f"{'Goal met' if good == len(off) else 'GOAL MISSED'}: the rate within {GOAL:.0%} in every cell that the costs "
        f"were not told from. Found: {good} of {len(off)}; half of them within {statistics.median(off):.0%}, the worst "
        f"off by {max(off):.0%}."
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


def _sizes_table(found: Costs) -> Table:
    """Cores for so many predictions per second with full batches, busy for 70 % of the time."""
    rows = []
    for (engine, workers), each in found.engines.items():
        for rate in TARGETS:
            worker, web = each.prediction(32), found.web_prediction
            cores = [rate * value / HEADROOM for value in (worker, web, found.rest_prediction)]
            rows.append(
                (
                    f"{_workers(engine, workers)}, {rate:,} predictions/s",
                    *(number(value) for value in (*cores, sum(cores))),
                )
            )
    return Table(("", "cores for workers", "for web processes", "for the queue", "together"), rows)


def with_part(page: str, text: str) -> str:
    """The page with `text` between its two comments, which have to be there."""
    start, end = "<!-- model -->", "<!-- /model -->"
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no {start} … {end}")
    return f"{before}{start}\n{text}\n{end}{after}"


def _workers(engine: str, workers: int) -> str:
    return f"{engine}, {workers} worker{'' if workers == 1 else 's'}"


def _ms(seconds: float) -> str:
    return number(1000 * seconds)
