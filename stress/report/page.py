"""The report as Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from stress.matrix.cells import ramp_seconds
from stress.recorder import FAILED, REFUSED
from stress.report.conclusions import conclusions, promises
from stress.report.measured import INDEX, PREDICT, SYSTEM, Matrix, Measured
from stress.report.plots import LinePlot
from stress.tables import ResultTable, number, plural, wrapped

MANY_USERS = 5000
NOTHING = "–"
HEADS = (
    *("predictions/s", "p50", "p95", "p99", "index p99", "refused", "its p99", "failed"),
    *("batch", "CPU web", "worker", "valkey", "all", "memory, MB", "generator"),
)


def page(matrix: Matrix, plots: Sequence[LinePlot]) -> str:
    """Returns the report of a complete or incomplete matrix. The plots are in the folder plots/."""
    parts = [
        "# Stress report",
        wrapped(
            "`python -m stress report` writes this page, with all figures and conclusions, from the files in results/."
        ),
    ]
    if not len(matrix):
        return "\n\n".join([*parts, "Nothing was measured yet: `make stress`."]) + "\n"
    parts += ["## Conclusions", *(wrapped(f"**{heading}.** {text}") for heading, text in conclusions(matrix))]
    parts += ["## Highest rates", _highest_rates(matrix), *_promised(matrix)]
    parts += ["## Machine", *_machine(matrix), "## Method", _method(matrix), *_missing(matrix), "## Plots"]
    parts += [f"![{plot.title}: {plot.y_title}](plots/{plot.name}.svg)" for plot in plots]
    parts += ["## Tables", wrapped(LEGEND), *_tables(matrix)]
    return "\n\n".join(parts) + "\n"


LEGEND = (
    "All times in ms, of requests that were sent within the measured seconds. Predictions/s: answered predictions, "
    "from the API and the page. p50, p95, p99: of answered `POST /api/predict`. Refused: the share of all requests "
    "for a prediction that got 503 with Retry-After, and the p99 of these answers. CPU: ms of all processes for each "
    "answered prediction, including pages, refusals and reviewing. Batch: mean size. Generator: Locust's share of the "
    "CPU time."
)


def _highest_rates(matrix: Matrix) -> str:
    """Returns a table with the best cell of each curve."""
    curves = groupby(matrix, key=lambda each: (each.cell.engine, each.cell.batch_size, each.cell.workers))
    best = [max(curve, key=lambda each: each.rate) for _, curve in curves]
    return ResultTable(("", *HEADS), [(str(each.cell), *_row(each)) for each in best]).as_markdown()


def _promised(matrix: Matrix) -> Iterator[str]:
    """Yields the promises for overload, cell by cell."""
    many = [each for each in matrix if each.cell.users >= MANY_USERS]
    yield f"## At {MANY_USERS:,} users"
    if not many:
        yield "Not measured."
        return
    rows = []
    for each in many:
        found = promises(each)
        rows.append((str(each.cell), *(f"{text}{'' if met is not False else ' ✗'}" for _, text, met in found)))
    names = [what for what, _, _ in promises(many[0])]
    yield wrapped("The promises for overload, and the results; ✗ marks a missed promise.")
    yield ResultTable(("", *names), rows).as_markdown()


def _machine(matrix: Matrix) -> Iterator[str]:
    """Yields a table for each machine, with its versions and the number of cells measured on it."""
    kinds: Counter[str] = Counter()
    for each in matrix:
        described = dict(each.found["machine"])
        for changing in ("date", "load_average_before"):
            described.pop(changing, None)
        kinds[json.dumps(described)] += 1
    dates = sorted(each.found["machine"]["date"] for each in matrix)
    for text, cells in kinds.most_common():
        machine: dict[str, Any] = json.loads(text)
        rows: list[tuple[str, str]] = [
            ("processor", machine["cpu"]),
            ("relevant CPU features", ", ".join(machine["cpu_flags"]) or "none"),
            ("cores", str(machine["cores"])),
            ("memory", f"{machine['memory_megabytes']:,} MB"),
            ("disk", machine.get("disk", NOTHING)),
            ("system", machine["kernel"]),
            ("Python", machine["python"]),
            ("packages", ", ".join(f"{name} {version}" for name, version in machine["packages"].items())),
        ]
        yield ResultTable((plural(cells, "cell"), f"measured between {dates[0]} and {dates[-1]}"), rows).as_markdown()


def _method(matrix: Matrix) -> str:
    kinds: dict[str, list[Measured]] = {}
    for each in matrix:
        kinds.setdefault(json.dumps(each.found["settings"]), []).append(each)
    texts = []
    for text, cells in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        settings: dict[str, Any] = json.loads(text)
        users = [f"{number:,}" for number in sorted({each.cell.users for each in cells})]
        texts.append(
            f"{plural(len(cells), 'cell')} ({', '.join(users)} users), each with a system freshly started with "
            "`manage.py up` in an empty folder (SQLite, embedded Valkey, `REUSE_ANSWERS` off, "
            f"{settings['precision']}); {settings['warm_up']:g} s of warm-up, in whose first "
            f"{ramp_seconds(settings['warm_up']):g} s the users start, then {settings['measured']:g} s that count. "
            "Visitors, API clients and people are 2 : 6 : 2, with 1 reviewer. They "
            f"think for {settings['think_min']:g} to {settings['think_max']:g} s between two steps and heed "
            f"Retry-After. {settings['photos']} distinct photos."
        )
    return "\n\n".join(wrapped(text) for text in texts)


def _missing(matrix: Matrix) -> Iterator[str]:
    missing = matrix.missing()
    if missing:
        yield f"**{len(missing)} cells of the whole matrix were not measured** (`make stress ARGS=--resume`)."


def _tables(matrix: Matrix) -> Iterator[str]:
    for (engine, size), cells in groupby(matrix, key=lambda each: (each.cell.engine, each.cell.batch_size)):
        rows = [(f"{each.cell.workers}, {each.cell.users:,}", *_row(each)) for each in cells]
        yield f"### {engine}, batches of up to {size}"
        yield ResultTable(("workers, users", *HEADS), rows).as_markdown()


def _row(each: Measured) -> tuple[str, ...]:
    predict = [_ms(each.ms(which)) for which in ("p50", "p95", "p99")]
    cpu = [each.cpu_ms("web"), each.cpu_ms("worker"), each.cpu_ms("valkey"), each.cpu_ms(*SYSTEM)]
    memory = sum(each.found["memory_megabytes"][role] for role in SYSTEM)
    return (
        number(each.rate),
        *predict,
        _ms(each.ms("p99", INDEX)),
        f"{each.refused_share:.0%}" if each.count(REFUSED) else "0",
        _ms(each.ms("p99", PREDICT, REFUSED)),
        f"{each.count(FAILED):,}",
        NOTHING if each.batch_size is None else f"{each.batch_size:.1f}",
        *(NOTHING if value is None else number(value) for value in cpu),
        f"{memory:.0f}",
        f"{each.generator_share:.1%}",
    )


def _ms(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"
