import configparser
import sys
import time
from pathlib import Path

import psutil

from mlsite.supervision import Program, Supervisor, configuration


def _supervised(tmp_path: Path, *programs: Program) -> Supervisor:
    file = tmp_path / "supervisord.conf"
    file.write_text(configuration(programs, folder=tmp_path, log_folder=tmp_path))
    with (tmp_path / "lock").open("a") as lock:
        return Supervisor(file, tmp_path / "supervisord.log", {"PATH": "/usr/bin:/bin"}, lock)


def _python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def _until(condition, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def _gathered(deaths: list[tuple[str, str]], supervisor: Supervisor) -> list[tuple[str, str]]:
    deaths += supervisor.deaths()
    return deaths


def test_runs_a_program_until_it_is_stopped(tmp_path: Path) -> None:
    started = tmp_path / "started"
    supervisor = _supervised(
        tmp_path, Program("one", _python(f"open({str(started)!r}, 'w'); import time; time.sleep(600)"), priority=1)
    )
    try:
        _until(started.exists)
        assert supervisor.is_running()
    finally:
        supervisor.stop()
    assert not supervisor.is_running()


def test_reports_and_restarts_a_program_that_dies(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    supervisor = _supervised(
        tmp_path, Program("fails", _python(f"open({str(starts)!r}, 'a').write('x'); raise SystemExit(3)"), priority=1)
    )
    try:
        deaths: list[tuple[str, str]] = []
        _until(lambda: len(_gathered(deaths, supervisor)) >= 3)
        assert deaths[0] == ("fails", "exit status 3")
        assert len(starts.read_text()) >= 3
    finally:
        supervisor.stop()


def test_starts_programs_in_order_and_stops_them_in_reverse(tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = (
        "import signal, sys, time\n"
        "def note(word): open({path!r}, 'a').write(word + ' ')\n"
        "signal.signal(signal.SIGTERM, lambda *_: (note('-{name}'), sys.exit()))\n"
        "note('+{name}')\n"
        "time.sleep(600)"
    )
    programs = []
    for number, name in enumerate(["queue", "worker", "web"]):
        file = tmp_path / f"{name}.py"
        file.write_text(script.format(path=str(order), name=name))
        programs.append(Program(name, [sys.executable, str(file)], priority=number))
    supervisor = _supervised(tmp_path, *programs)
    try:
        _until(lambda: order.exists() and order.read_text().count("+") == 3)
    finally:
        supervisor.stop()
    assert order.read_text().split()[3:] == ["-web", "-worker", "-queue"]


def test_stops_programs_of_the_same_priority_at_the_same_time(tmp_path: Path) -> None:
    """Each waits with its end until the other has been stopped, too."""
    notes = tmp_path / "notes"
    file = tmp_path / "program.py"
    file.write_text(
        "import signal, sys, time\n"
        f"def note(word): open({str(notes)!r}, 'a').write(word + ' ')\n"
        "def stop(*_):\n"
        "    note('stopping')\n"
        f"    while open({str(notes)!r}).read().count('stopping') < 2: time.sleep(0.05)\n"
        "    note('stopped')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "note('started')\n"
        "while True: time.sleep(600)"
    )
    supervisor = _supervised(tmp_path, *(Program(name, [sys.executable, str(file)], priority=1) for name in "ab"))
    try:
        _until(lambda: notes.exists() and notes.read_text().count("started") == 2)
    finally:
        supervisor.stop()
    assert notes.read_text().split()[2:] == ["stopping", "stopping", "stopped", "stopped"]


def test_kills_a_program_that_ignores_sigterm(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        f"import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    supervisor = _supervised(tmp_path, Program("deaf", _python(script), priority=1, stop_seconds=1))
    try:
        pid = int(_until(lambda: pid_file.exists() and pid_file.read_text()))
    finally:
        supervisor.stop()
    assert not psutil.pid_exists(pid)


def test_configuration_escapes_percent_signs_and_blanks(tmp_path: Path) -> None:
    text = configuration([Program("p", ["echo", "100% of it"], priority=1)], folder=tmp_path, log_folder=tmp_path)
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert parser["program:p"]["command"].endswith(" echo '100% of it'")
