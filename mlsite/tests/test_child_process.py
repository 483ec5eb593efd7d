"""A child process ends when its parent is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from devtools.running import eventually, runs
from mlsite import child_process
from mlsite.supervision import Program, Supervisor, configuration

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")

# Starts a child with the given command line and waits.
PARENT = """
import os, subprocess, sys, time
from mlsite import child_process
environment = os.environ | child_process.environment_of_child()
subprocess.Popen(child_process.command(sys.argv[1:]), env=environment)
time.sleep(600)
"""


def _script(folder: Path, name: str) -> list[str]:
    """Returns the command line of a program that writes its process id, and notes that it was asked to stop."""
    file = folder / f"{name}.py"
    file.write_text(
        "import os, pathlib, signal, sys, time\n"
        f"folder = pathlib.Path({str(folder)!r})\n"
        "def stop(*_):\n"
        f"    (folder / '{name}.stopped').touch()\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"(folder / '{name}.tmp').write_text(str(os.getpid()))\n"
        f"(folder / '{name}.tmp').rename(folder / '{name}.pid')\n"
        "time.sleep(600)\n"
    )
    return [sys.executable, str(file)]


def _started(folder: Path, name: str) -> psutil.Process:
    eventually((folder / f"{name}.pid").exists, f"the start of {name}")
    return psutil.Process(int((folder / f"{name}.pid").read_text()))


def test_child_of_a_killed_process_stops_in_order(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, *_script(tmp_path, "child")], env=environment)
    child = _started(tmp_path, "child")
    assert child.ppid() == parent.pid
    parent.kill()
    parent.wait(20)
    eventually(lambda: not runs(child), "the end of the child")
    assert (tmp_path / "child.stopped").exists(), "it was asked to stop, not killed"


def test_child_whose_parent_has_ended_already_does_not_start(tmp_path: Path) -> None:
    """The parent may be killed before the child can ask the kernel."""
    environment = os.environ | {child_process.PARENT: str(2**22 + 1)}
    command = child_process.command([sys.executable, "-c", f"open({str(tmp_path / 'started')!r}, 'w')"])
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "has ended" in ended.stderr
    assert not (tmp_path / "started").exists()


def test_exit_code_and_arguments_are_those_of_the_program() -> None:
    environment = os.environ | child_process.environment_of_child()
    command = child_process.command([sys.executable, "-c", "import sys; sys.exit(len(sys.argv[1]))", "a b"])
    assert subprocess.run(command, env=environment, timeout=60).returncode == 3


def test_programs_of_a_killed_supervisor_stop_in_order(tmp_path: Path) -> None:
    programs = [Program(name, _script(tmp_path, name), priority=1) for name in ("queue", "worker")]
    file = tmp_path / "supervisord.conf"
    file.write_text(configuration(programs, folder=tmp_path, log_folder=tmp_path))
    with (tmp_path / "lock").open("a") as lock:
        supervisor = Supervisor(file, tmp_path / "supervisord.log", {"PATH": "/usr/bin:/bin"}, lock)
    started = [_started(tmp_path, program.name) for program in programs]
    supervisor._process.kill()
    eventually(lambda: not any(map(runs, started)), "the end of the programs")
    assert (tmp_path / "queue.stopped").exists() and (tmp_path / "worker.stopped").exists()
    assert not supervisor.is_running()
    supervisor.stop()


def test_starting_a_program_this_way_takes_no_noticeable_time() -> None:
    """It must not import what takes long: it runs before each program."""
    command = child_process.command([sys.executable, "-I", "-S", "-c", ""])
    command[1:1] = ["-X", "importtime"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert imported.isdisjoint({"subprocess", "asyncio", "django", "typing", "logging", "re"}), imported
