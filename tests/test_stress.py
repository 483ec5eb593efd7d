"""The Locust file runs headless against what `make run` starts."""

import json
import subprocess
import sys

from tests.running import ROOT, RunningSite


def test_it_works(site: RunningSite) -> None:
    command = [sys.executable, "-m", "locust", "-f", "stress/locustfile.py", "--host", site.url, "--headless"]
    result = subprocess.run(
        [*command, "-u", "4", "-r", "4", "-t", "6s", "--json", "--exit-code-on-error", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    statistics = {row["name"]: row for row in json.loads(result.stdout)}
    assert statistics["/"]["num_requests"] > 0
    assert statistics["/api/predict"]["num_requests"] > 5
    assert statistics["/api/predict"]["num_failures"] == 0
