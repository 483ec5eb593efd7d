"""The benchmarks run with small numbers and write their results. The tests do not judge the figures."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from devtools.running import ROOT, eventually, runs
from stress.bench.files import HEADING
from stress.tables import BenchReport, Figure, Goal, ResultTable, number
from worker.inference.repository import Repository

SMALL = ("--rounds", "2", "--jobs", "50", "--forking-jobs", "5", "--waiting", "10", "50", "--depth-jobs", "40")
COMMAND = [sys.executable, "-m", "stress.bench"]


def _bench(output: Path, *arguments: str) -> str:
    """Returns its standard output."""
    command = [*COMMAND, *arguments, "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _part(page: str, name: str) -> str:
    return page.split(f"<!-- bench:{name} -->")[1].split(f"<!-- /bench:{name} -->")[0]


def test_writes_figures_to_screen_page_and_json(tmp_path: Path) -> None:
    said = _bench(tmp_path, "bookkeeping", *SMALL)
    rows = ("rq Worker (forks)", "rq SimpleWorker", *(f"BatchWorker, at most {size}" for size in (1, 8, 32)))
    page, results = (tmp_path / "performance.md").read_text(), json.loads((tmp_path / "results.json").read_text())
    found = results["bookkeeping"]
    assert page.startswith(HEADING)
    assert [row[""] for row in found["tables"][0]["rows"]] == list(rows)
    assert len(found["tables"][0]["rows"][0]["worker, CPU ms/job"]["values"]) == 2
    assert len(found["goals"]) == 3
    assert found["options"]["jobs"] == 50
    assert found["machine"]["cores"] >= 1
    assert "rq" in found["machine"]["packages"]
    for row in rows:
        assert f"\n| {row} | " in said
        assert f"\n| {row} | " in _part(page, "bookkeeping")


def test_replaces_only_its_own_part_of_the_page(tmp_path: Path) -> None:
    page, results = tmp_path / "performance.md", tmp_path / "results.json"
    own = "# Speed\n\nBefore.\n\n<!-- bench:depth -->\nold\n<!-- /bench:depth -->\n\nAfter.\n"
    page.write_text(own)
    results.write_text('{"other": 1}')
    _bench(tmp_path, "depth", "workers", *SMALL, "--worker-jobs", "40", "--worker-counts", "1", "2")
    text = page.read_text()
    assert "| 10 | " in _part(text, "depth") and "old" not in text
    assert text.startswith("# Speed\n\nBefore.\n\n<!-- bench:depth -->\n")
    assert "<!-- /bench:depth -->\n\nAfter.\n\n## Several workers\n\n<!-- bench:workers -->\n" in text
    assert set(json.loads(results.read_text())) == {"other", "depth", "workers"}


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk; on Debian and Ubuntu: apt install wrk")
def test_measures_the_whole_system(tmp_path: Path, models: Repository) -> None:
    shutil.copytree(models.root, tmp_path / "cache" / "models")
    small = ("--rounds", "1", "--photos", "8", "--batch-sizes", "2", "--clients", "4", "--seconds", "2")
    _bench(tmp_path, "start", "endtoend", *small, "--warm-up", "1", "--cache", str(tmp_path / "cache"))
    results = json.loads((tmp_path / "results.json").read_text())
    met = {goal["aim"]: goal["is_met"] for name in ("start", "endtoend") for goal in results[name]["goals"]}
    assert met["no TensorFlow"] and met["no request fails"] and met["every answer has its row"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    command = [*COMMAND, "depth", "--waiting", "1000000", "--output", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        started = eventually(lambda: psutil.Process(process.pid).children(recursive=True), "the queue server")
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    finally:
        process.kill()
    assert not [child for child in started if runs(child)]
    assert not list(tmp_path.iterdir())


def test_unknown_benchmark_is_reported_in_one_line() -> None:
    done = subprocess.run([*COMMAND, "speed"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "there is no benchmark 'speed': bookkeeping, " in done.stderr


def test_report_shows_median_spread_and_goals() -> None:
    table = ResultTable(("what", "ms"), [("one", Figure.of([3, 1, 2])), ("two", Figure.of([4]))])
    report = BenchReport("x", "X", "About it.", [table], [Goal("at most 1 ms", "2 ms", is_met=False)], ["A note."])
    remarks = ("GOAL MISSED: at most 1 ms. Found: 2 ms.", "A note.")
    assert report.as_markdown() == (
        "About it.\n\n| what | ms |\n| --- | ---: |\n| one | 2.00 (1.00-3.00) |\n| two | 4.00 |\n\n"
        + "\n".join(f"- {remark}" for remark in remarks)
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.000"), (0.0123, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")]
)
def test_numbers_have_about_three_digits(value: float, text: str) -> None:
    assert number(value) == text
