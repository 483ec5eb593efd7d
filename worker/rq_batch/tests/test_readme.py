"""The example in README.md works as it is written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rq import Queue

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_example_prints_all_squares(queue: Queue, redis_url: str, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "squares.py").write_text(program.replace("redis.Redis()", f"redis.Redis.from_url({redis_url!r})"))
    (command,) = re.findall(r"^rq (worker .*) &$", README, re.MULTILINE)
    worker = [sys.executable, "-m", "rq.cli", *shlex.split(command), "--url", redis_url, "--max-jobs", "100", "--quiet"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(worker, cwd=tmp_path, env=environment) as process:
        try:
            output = subprocess.check_output([sys.executable, "squares.py"], cwd=tmp_path, env=environment, timeout=60)
            assert process.wait(20) == 0
        finally:
            process.kill()
    assert output.decode().strip() == str([number * number for number in range(100)])
