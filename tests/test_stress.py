"""The Locust file loads a running site, and the matrix measures a cell."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from devtools.running import ROOT, RunningSite
from review.sample_photos import samples
from worker.inference.repository import Repository


def test_all_kinds_of_users_complete_their_requests(site: RunningSite) -> None:
    command = [sys.executable, "-m", "locust", "-f", "stress/locustfile.py", "--host", site.url, "--headless"]
    thinking = ["--think-min", "0.1", "--think-max", "0.5", "--reviewers", "1", "--login", ":".join(site.login)]
    result = subprocess.run(
        [*command, *thinking, "-u", "8", "-r", "8", "-t", "6s", "--json", "--exit-code-on-error", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    statistics = {row["name"]: row for row in json.loads(result.stdout)}
    asked = {"/", "/static/", "/ (form)", "/predictions/<uuid>/", "/predictions/<uuid>/feedback/"}
    assert {*asked, "/api/predict", "from upload to answer", "/admin/review/case/"} <= statistics.keys()
    assert statistics["/api/predict"]["num_requests"] > 5
    assert not [row for row in statistics.values() if row["num_failures"]]


def test_matrix_measures_a_cell_once(tmp_path: Path, models: Repository) -> None:
    shutil.copytree(models.root, tmp_path / "cache" / "models")
    photos = tmp_path / "photos"
    command = [sys.executable, "-m", "stress", "matrix", "--users", "5", "--workers", "1", "--batch", "8"]
    command += ["--engine", "openvino", "--warm-up", "1", "--seconds", "2", "--think", "0.1", "0.3"]
    command += ["--photos", str(photos), "--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results")]
    photos.mkdir()
    for name, content in samples(3):
        (photos / name).write_bytes(content)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results" / "openvino-b08-w1-u0005.json").read_text())
    predict = found["requests"]["/api/predict"]
    assert set(predict) == {"ok"} and predict["ok"]["started"] > 3
    assert found["rows"]["answered"] >= predict["ok"]["finished"] - 1
    assert found["cpu_seconds"]["worker"] > 0 and found["cpu_seconds"]["locust"] > 0
    assert found["memory_megabytes"]["web"] > 20
    assert set(found["cpu_seconds"]) == {"web", "worker", "valkey", "exporter", "supervisor", "locust"}
    assert found["queue_length"] and not found["reasons"]

    again = subprocess.run([*command, "--resume"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0 and again.stderr.startswith("0 of 1 cells to measure")
