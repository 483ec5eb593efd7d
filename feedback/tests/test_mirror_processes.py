"""Many processes write the mirror at once, as the web server's do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from feedback import mirror
from feedback.models import Feedback
from feedback.services import report_take
from feedback.tests.mirror_lines import mirror_lines

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES = 4
COUNT = 500


def _start(settings: Settings, prefix: str, count: int = COUNT, **options: object) -> subprocess.Popen[bytes]:
    database = connection.settings_dict
    if connection.vendor != "sqlite":
        pytest.skip("hands the test database to other processes as a file")
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{database['NAME']}",
        "FEEDBACK_FILE": str(settings.FEEDBACK_FILE),
    }
    command = [sys.executable, "-m", "feedback.tests.mirror_writer", prefix, str(count)]
    return subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2], **options)  # type: ignore[call-overload, no-any-return]


def _all_of_them() -> list[str]:
    return sorted(Feedback.objects.values_list("comment", flat=True))


def test_it_works(settings: Settings) -> None:
    """Thousands of lines from several processes, while another one rebuilds over and over."""
    processes = [_start(settings, f"process {number}") for number in range(PROCESSES)]
    while any(process.poll() is None for process in processes):
        mirror.rebuild()
    assert [process.wait(60) for process in processes] == [0] * PROCESSES
    assert len(mirror_lines()) == PROCESSES * COUNT
    assert sorted(mirror_lines()) == _all_of_them()
    assert not Feedback.objects.not_mirrored().exists()


def test_without_a_rebuild(settings: Settings) -> None:
    processes = [_start(settings, f"process {number}", 100) for number in range(PROCESSES)]
    assert [process.wait(60) for process in processes] == [0] * PROCESSES
    assert sorted(mirror_lines()) == _all_of_them()
    assert len(mirror_lines()) == PROCESSES * 100


def test_a_full_disk(tmp_path: Path) -> None:
    """The file may not grow any more, and that in the middle of a line: half a line does not stay."""
    path = tmp_path / "feedback"
    path.write_text("x" * 39_900 + "\n")
    code = (
        "import django, pathlib, resource, sys; django.setup()\n"
        "from feedback import mirror\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "with mirror._locked(pathlib.Path(sys.argv[1])) as file:\n"
        "    mirror._write(file, [b'y' * 500])\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert "File too large" in ended.stderr
    assert path.read_text() == "x" * 39_900 + "\n"


def test_killed_while_writing(settings: Settings) -> None:
    writer = _start(settings, "victim", 100_000)
    path = Path(settings.FEEDBACK_FILE)
    while not path.exists() or path.stat().st_size < 10_000:
        assert writer.poll() is None
    writer.kill()
    writer.wait(20)
    report_take(text="the next one")
    mirror.rebuild()
    assert set(_all_of_them()) <= set(mirror_lines())
    assert mirror.rebuild() == 0


def test_the_command(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    report_take(text="x")
    Path(settings.FEEDBACK_FILE).unlink()
    call_command("feedback_mirror", "--rebuild")
    assert capsys.readouterr().out == f"{settings.FEEDBACK_FILE}: 1 missing lines written.\n"
    settings.FEEDBACK_FILE = Path(settings.FEEDBACK_FILE).parent
    with pytest.raises(CommandError, match="The mirror cannot be written"):
        call_command("feedback_mirror", "--rebuild")
    with pytest.raises(CommandError, match="--verify"):
        call_command("feedback_mirror")
