"""The report of known cells, also where others are missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stress.__main__ import main
from stress.matrix.cells import ResultsFolder
from stress.report.conclusions import conclusions, promises
from stress.report.measured import Matrix, Measured
from stress.report.page import page
from stress.report.plots import LinePlot, Lines, plots
from stress.tests.conftest import SETTINGS, row

Make = Callable[..., Measured]


def _said(*measured: Measured) -> str:
    return " ".join(text for _, text in conclusions(Matrix(measured)))


def test_report_without_results() -> None:
    assert "Nothing was measured yet" in page(Matrix([]), [])


def test_report_of_a_single_cell(measured: Make) -> None:
    matrix = Matrix([measured(100)])
    text = page(matrix, list(plots(matrix)))
    assert "**125 cells of the whole matrix were not measured**" in text
    assert "## At 5,000 users\n\nNot measured." in text
    assert "| 1, 100 | 10.0 | 100 | 100 | 100 | 20 | 0 | – | 0 | 4.0 |" in text
    assert "nan" not in text and "None" not in text


def test_says_where_it_saturates_and_what_breaks_first(measured: Make) -> None:
    said = _said(
        measured(10, rate=2),
        measured(100, rate=20, ms=400),
        measured(500, rate=58, ms=1500),
        measured(1000, rate=60, ms=4000, refused=200),
    )
    assert "the highest rate is 60 predictions per second, and 500 users reach 95% of it" in said
    assert "In this order: p95 of /api/predict is over 1 s from 500 users on; requests are refused from 1,000" in said
    assert "Never, up to 1,000 users: p99 of the index page is over 1 s; " in said and "a connection is lost." in said
    assert "serves 100 users within 1 s at p95" in said and "At the next step, 500 users, it does not." in said
    # 0.9 of a core in all for 20 predictions/s: 45 ms each; 200 of them per second, at 70 % busy, are 12.9 cores.
    assert "200 predictions per second. At 45.0 CPU ms each" in said and "that takes 13 cores like these" in said


def test_says_what_overload_costs(measured: Make) -> None:
    said = _said(measured(1000, rate=60), measured(5000, rate=30, refused=700))
    assert "With 5,000 users it is 30: 70% of all requests for a prediction are refused, and" in said
    assert "take cores from the workers (worker 0.60, web 0.20, valkey 0.10, of 2)." in said
    assert "With 5,000 users" not in _said(measured(1000, rate=60), measured(5000, rate=58, refused=700))


def test_highest_rates_show_the_best_cell_of_each_curve(measured: Make) -> None:
    slow, best = measured(500, rate=58), measured(1000, rate=60)
    alone = measured(500, rate=40, batch_size=1)
    text = page(Matrix([slow, best, alone]), []).split("## Highest rates")[1].split("##")[0]
    rows = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| openvino")]
    assert rows == [
        ["| openvino, 1 worker, batch 1, 500 users", "40.0"],
        ["| openvino, 1 worker, batch 32, 1,000 users", "60.0"],
    ]


def test_reports_disturbed_cells(measured: Make) -> None:
    assert "were disturbed" not in _said(measured(10))
    assert "**1 of 2 cells were disturbed**" in _said(measured(10), measured(50, cpu_seconds_of_others=10.0))
    assert "5.0% to 5.0% of its CPU time" in _said(measured(10))


def test_reports_each_warm_up(measured: Make) -> None:
    long = measured(5000, settings=vars(replace(SETTINGS, warm_up=50)))
    text = " ".join(page(Matrix([measured(10), measured(100), long]), []).split())
    assert "2 cells (10, 100 users), each" in text and "8 s of warm-up, in whose first 4 s the users start" in text
    assert "1 cell (5,000 users), each" in text and "50 s of warm-up, in whose first 40 s the users start" in text


def test_judges_the_promises_at_5000_users(measured: Make) -> None:
    good = promises(measured(5000, refused=1000))
    assert [met for _, _, met in good] == [True, True, True, True, True]
    bad = promises(measured(5000, ms=31_000, failed=3, reasons={"/: connection: reset": 2}))
    assert [met for _, _, met in bad] == [False, False, None, False, True]
    matrix = Matrix([measured(5000, ms=31_000, failed=3)])
    assert "31,000 ms ✗" in page(matrix, [])


def test_replaces_an_earlier_report(measured: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (measured(10), measured(5000, workers=4)):
        content = {name: value for name, value in each.found.items() if name != "settings"}
        ResultsFolder(tmp_path / "results").write(each.cell, SETTINGS, content)
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "old.svg").write_text("from another run")
    arguments = ["stress", "report", "--results", str(tmp_path / "results"), "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert main() == 0
    text = (tmp_path / "report.md").read_text()
    plots = {file.name for file in (tmp_path / "plots").iterdir()}
    assert plots == {f"openvino-{name}.svg" for name in ("throughput", "p50", "p95", "p99", "batching", "cpu", "queue")}
    assert all(f"(plots/{name})" in text for name in plots)


def _svg(folder: Path, lines: Lines, **options: bool) -> str:
    LinePlot("plot", "A <title>", "users", "ms", lines, **options).write(folder)
    return (folder / "plot.svg").read_text()


LINES: Lines = {"one & all": [(10, 1), (100, 50)], "two": [(10, 2), (100, 4)]}


def test_plot_of_the_same_figures_has_the_same_bytes(tmp_path: Path) -> None:
    first = _svg(tmp_path, LINES, x_log=True, y_log=True)
    assert _svg(tmp_path, LINES, x_log=True, y_log=True) == first
    assert "<dc:date>" not in first


def test_plot_distinguishes_its_lines_without_colours(tmp_path: Path) -> None:
    svg = _svg(tmp_path, LINES, markers=False)
    drawn = re.findall(r'style="(fill: none; [^"]*stroke: #(?:0550ae|953800)[^"]*)"', svg)
    assert len(drawn) == 4, "two lines, and each again in the legend"
    assert len({"stroke-dasharray" in style for style in drawn}) == 2
    for text in ("A &lt;title&gt;", "one &amp; all", "two", "users", "ms"):
        assert f">{text}</text>" in svg


def test_plot_leaves_out_curves_without_figures(measured: Make) -> None:
    refused = measured(100, workers=2, requests={"/api/predict": {"refused": row(10, 5)}})
    found = {plot.name: plot.lines for plot in plots(Matrix([measured(100), refused]))}
    assert list(found["openvino-p95"]) == ["1 worker"]
    assert list(found["openvino-throughput"]) == ["1 worker", "2 workers"]


def test_plot_leaves_out_zeros_on_a_logarithmic_axis(tmp_path: Path) -> None:
    svg = _svg(tmp_path, {"a": [(5, 0), (10, 3)]}, x_log=True, y_log=True)
    assert "nan" not in svg and ">a</text>" in svg
