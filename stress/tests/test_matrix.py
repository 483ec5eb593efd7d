"""The cells of the matrix, their files, and the cells that a resumed run skips."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devtools.running import ROOT, RunningSite
from stress.matrix import cells as matrix
from stress.matrix import watch
from stress.matrix.cells import Cell, ResultsFolder
from stress.matrix.generators import shared
from stress.matrix.watch import UsageSnapshot
from stress.tests.conftest import SETTINGS

COMMAND = [sys.executable, "-m", "stress", "matrix"]


def test_matrix_has_126_cells() -> None:
    every = matrix.cells()
    assert len(every) == len(set(every)) == 126
    assert [cell.users for cell in every[:7]] == [10, 50, 100, 250, 500, 1000, 5000]
    assert str(every[0]) == "openvino, 1 worker, batch 1, 10 users"


def test_cells_of_a_part_are_sorted_and_distinct() -> None:
    part = matrix.cells(engines=["tensorflow"], batch_sizes=[8], workers=[2, 1, 2], users=[50, 10])
    assert [cell.name for cell in part] == [f"tensorflow-b08-w{w}-u{u:04}" for w in (1, 2) for u in (10, 50)]


def test_has_only_cells_with_the_same_settings(tmp_path: Path) -> None:
    results, cell = ResultsFolder(tmp_path / "results"), Cell("openvino", 8, 1, 10)
    assert not results.has(cell, SETTINGS)
    results.write(cell, SETTINGS, {"seconds": 10})
    assert results.has(cell, SETTINGS)
    assert not results.has(cell, replace(SETTINGS, measured=11))
    assert not results.has(replace(cell, users=50), SETTINGS)
    assert [(found, content["seconds"]) for found, content in results.all()] == [(cell, 10)]
    results.file(cell).write_text(results.file(cell).read_text()[:-20])  # a damaged file
    assert not results.has(cell, SETTINGS)


def test_resume_lists_only_missing_cells(tmp_path: Path) -> None:
    ResultsFolder(tmp_path).write(Cell("openvino", 8, 1, 10), SETTINGS, {})
    options = [
        "--users",
        "10",
        "50",
        "--workers",
        "1",
        "--batch",
        "8",
        "--engine",
        "openvino",
        "--seconds",
        "10",
        "--warm-up",
        "8",
    ]
    command = [*COMMAND, *options, "--results", str(tmp_path), "--resume", "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr.startswith("1 of 2 cells to measure")
    assert done.stderr.splitlines()[1:] == ["openvino, 1 worker, batch 8, 50 users"]


def test_kept_results_need_no_new_measurement() -> None:
    """The kept results also name settings that are no longer options."""
    done = subprocess.run([*COMMAND, "--resume", "--list"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr.startswith("0 of 126 cells to measure")


def test_many_users_have_a_longer_warm_up(tmp_path: Path) -> None:
    """Unless an option sets the warm-up."""
    for users in (500, 1000):
        ResultsFolder(tmp_path).write(Cell("openvino", 8, 1, users), replace(SETTINGS, warm_up=10, measured=15), {})
    options = ["--users", "500", "1000"]
    options += ["--workers", "1", "--batch", "8", "--engine", "openvino", "--resume", "--list"]
    for more, left in (([], ["openvino, 1 worker, batch 8, 1,000 users"]), (["--warm-up", "10"], [])):
        command = [*COMMAND, *options, *more, "--results", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.stderr.splitlines()[1:] == left


@pytest.mark.parametrize("option", ["--users=0", "--workers=x", "--engine=abacus", "--batch=0"])
def test_invalid_option_is_reported_in_one_line(option: str) -> None:
    done = subprocess.run([*COMMAND, option], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "error: argument" in done.stderr and "Traceback" not in done.stderr


def test_more_users_than_open_files_is_an_error(tmp_path: Path) -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000)); sys.argv[1:] = ['matrix', "
        "'--users', '5000']; from stress.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "5000 users need 6000 open files" in done.stderr


def test_users_are_divided_evenly() -> None:
    assert shared(5000, 2) == [2500, 2500] and shared(10, 3) == [4, 3, 3] and shared(7, 1) == [7]


@pytest.mark.parametrize(("begins", "code"), [(0, 0), (1, 2)])
def test_locust_fails_if_it_starts_after_the_measured_window(tmp_path: Path, begins: int, code: int) -> None:
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        "stress/locustfile.py",
        "--headless",
        "-u",
        "1",
        "-t",
        "1s",
        "Visitor",
    ]
    command += ["--host", "http://127.0.0.1:9", "--exit-code-on-error", "0", "--begins", str(begins)]
    command += ["--figures", str(tmp_path / "figures.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert (tmp_path / "figures.json").exists()


def test_cpu_by_role_is_that_between_two_snapshots() -> None:
    before, after = UsageSnapshot({"web": 5.0, "worker": 3.0}, 0), UsageSnapshot({"web": 6.5, "worker": 4.25}, 0)
    assert watch.cpu_by_role(before, after) == {"web": 1.5, "worker": 1.25}


def test_cell_in_which_a_process_died_has_no_results(tmp_path: Path) -> None:
    site = RunningSite(tmp_path)
    site.output = "worker starts\n"
    watch.require_no_deaths(site)
    site.output += "worker ended (terminated by SIGKILL) and restarts; see worker.log\n"
    with pytest.raises(RuntimeError, match="SIGKILL"):
        watch.require_no_deaths(site)


def test_answered_counts_only_the_window(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "db.sqlite3")
    database.execute("CREATE TABLE predictions_prediction (state, started_at, finished_at)")
    begins = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
    ends = (("done", "11:59:59.9"), ("done", "12:00:00.5"), ("done", "12:00:00.5"), ("failed", "12:00:00.6"))
    for state, finished in ends:
        row = (state, "2026-11-25 11:59:59.500000", f"2026-11-25 {finished}00000")
        database.execute("INSERT INTO predictions_prediction VALUES (?, ?, ?)", row)
    database.commit()
    database.close()
    assert watch.answered(tmp_path, begins, begins + 1) == {"answered": 2, "batches": 1}


def test_interruption_before_the_first_cell_leaves_nothing(tmp_path: Path) -> None:
    command = [*COMMAND, "--users", "5", "--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "cells to measure" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        complaints = process.stderr.read()
        assert process.wait(60) == 128 + signal.SIGINT
    assert "Traceback" not in complaints
    assert not (tmp_path / "results").exists()
