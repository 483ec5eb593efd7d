"""What the report says of cells that are known, and that it copes with those that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stress.__main__ import main
from stress.matrix.cells import Results
from stress.report.conclusions import conclusions, promises
from stress.report.measured import Matrix, Measured
from stress.report.page import page
from stress.report.plot import Chart, Series
from stress.report.plots import charts
from stress.tests.conftest import SETTINGS

Make = Callable[..., Measured]
SVG = "{http://www.w3.org/2000/svg}"


def _said(*measured: Measured) -> str:
    return " ".join(text for _, text in conclusions(Matrix(measured)))


def test_of_nothing() -> None:
    assert "Nothing was measured yet" in page(Matrix([]), [])


def test_of_a_single_cell(measured: Make) -> None:
    matrix = Matrix([measured(100)])
    text = page(matrix, list(charts(matrix)))
    assert "**125 cells of the whole matrix were not measured:**" in text
    assert "- openvino, batch 32, workers 1: 10, 50, 250, 500, 1,000, 5,000 users" in text
    assert "## At 5,000 users\n\nNot measured." in text
    assert "| 1, 100 | 10.0 | 100 | 100 | 100 | 20 | 0 | – | 0 | 4.0 |" in text
    assert "nan" not in text and "None" not in text


def test_where_it_saturates_and_what_breaks_first(measured: Make) -> None:
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


def test_what_far_too_many_users_cost(measured: Make) -> None:
    said = _said(measured(1000, rate=60), measured(5000, rate=30, refused=700))
    assert "With 5,000 users it is 30: 70% of all who ask are refused, and" in said
    assert "take cores that the workers had (worker 0.60, web 0.20, valkey 0.10, of 2)." in said
    assert "With 5,000 users" not in _said(measured(1000, rate=60), measured(5000, rate=58, refused=700))


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [(61.0, "More workers bought nothing here (+2% at best)"), (90.0, "2 workers answer +50% against 1 worker")],
)
def test_what_more_workers_buy(measured: Make, rate: float, verdict: str) -> None:
    assert verdict in _said(measured(500, rate=60), measured(500, rate=rate, workers=2))


def test_what_more_workers_buy_without_batches(measured: Make) -> None:
    both = [measured(500, rate=60), measured(500, rate=66, workers=2)]
    alone = [measured(500, rate=40, batch_size=1), measured(500, rate=58, batch_size=1, workers=2)]
    assert "One picture at a time: 40, 58." in _said(*both, *alone)
    assert "2 workers answer +45% against 1 worker" in _said(*both, *alone)
    assert "One picture at a time" not in _said(*both) + _said(*alone)


def test_what_batches_buy(measured: Make) -> None:
    said = _said(measured(500, rate=40, batch_size=1), measured(500, rate=60))
    assert "in predictions per second: 40 with batches of up to 1, 60 with batches of up to 32 (1 worker)" in said
    assert "That is +50% of the largest against none" in said and "worker 15.00 → 10.00" in said


def test_a_disturbed_measurement_says_so(measured: Make) -> None:
    assert "were disturbed" not in _said(measured(10))
    assert "**1 of 2 cells were disturbed**" in _said(measured(10), measured(50, cpu_seconds_of_others=10.0))
    assert "5.0% to 5.0% of its CPU time" in _said(measured(10))


def test_how_long_each_kind_of_cell_was_warmed_up(measured: Make) -> None:
    long = measured(5000, settings=vars(replace(SETTINGS, warm_up=50)))
    text = " ".join(page(Matrix([measured(10), measured(100), long]), []).split())
    assert "2 cells (10, 100 users): each" in text and "8 s of warm-up, in whose first 4 s the users come" in text
    assert "1 cells (5,000 users): each" in text and "50 s of warm-up, in whose first 40 s the users come" in text


def test_promises_at_5000_users(measured: Make) -> None:
    good = promises(measured(5000, refused=1000))
    assert [met for _, _, met in good] == [True, True, True, True, True]
    bad = promises(measured(5000, ms=31_000, failed=3, reasons={"/: connection: reset": 2}))
    assert [met for _, _, met in bad] == [False, False, None, False, True]
    matrix = Matrix([measured(5000, ms=31_000, failed=3)])
    assert "31,000 ms ✗" in page(matrix, [])


def test_the_files(measured: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (measured(10), measured(5000, workers=4)):
        content = {name: value for name, value in each.found.items() if name != "settings"}
        Results(tmp_path / "results").write(each.cell, SETTINGS, content)
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "old.svg").write_text("of another run")
    arguments = ["stress", "report", "--results", str(tmp_path / "results"), "--output", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert main() == 0
    text = (tmp_path / "report.md").read_text()
    plots = {file.name for file in (tmp_path / "plots").iterdir()}
    assert plots == {f"openvino-{name}.svg" for name in ("throughput", "p50", "p95", "p99", "batching", "cpu", "queue")}
    assert all(f"(plots/{name})" in text for name in plots)


def test_a_chart_reads_without_colours_and_in_the_dark() -> None:
    lines = [Series("one & all", [(10, 1), (100, 50)]), Series("two", [(10, 2), (100, 0)]), Series("none", [])]
    svg = Chart("A <title>", "users", "ms", lines, x_log=True, y_log=True).svg()
    root = ElementTree.fromstring(svg)
    drawn = root.findall(f"{SVG}polyline")
    assert [line.get("stroke-dasharray") for line in drawn] == [None, "7 4"]
    assert len(drawn[1].attrib["points"].split()) == 1  # a logarithm of 0 there is not
    assert len(root.findall(f"{SVG}circle")) == 2
    texts = [text.text for text in root.findall(f"{SVG}text")]
    assert {"A <title>", "one & all", "two", "users", "ms", "10", "100"} <= set(texts) and "none" not in texts
    assert "prefers-color-scheme:dark" in svg


def test_a_chart_of_nothing() -> None:
    assert "nothing was measured" in Chart("Title", "x", "y", [Series("a", [])]).svg()


def test_a_chart_of_the_same_value_everywhere() -> None:
    assert "nan" not in Chart("Title", "x", "y", [Series("a", [(5, 0), (5, 0)])], x_log=True).svg()
