"""Several processes write the mirror at once. Some are killed, some have a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from feedback import mirror
from feedback.models import Feedback
from feedback.tests.mirror_lines import give_reports, mirror_lines

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES = 3
COUNT = 200
FULL_AT = 40_000  # bytes that a file may have in a process with a "full disk"


def _start(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    if connection.vendor != "sqlite":
        pytest.skip("passes the test database to other processes as a file")
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "FEEDBACK_FILE": str(settings.FEEDBACK_FILE),
    }
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )


def _start_writer(settings: Settings, prefix: str, count: int = COUNT) -> subprocess.Popen[str]:
    return _start(settings, "-m", "feedback.tests.mirror_writer", prefix, str(count))


def _run_with_full_disk(settings: Settings, code: str) -> str:
    """Runs code in a process whose files may not grow beyond `FULL_AT`. Returns what it writes to standard error."""
    begin = (
        f"import django, resource; django.setup(); resource.setrlimit(resource.RLIMIT_FSIZE, ({FULL_AT}, {FULL_AT}))"
    )
    return _start(settings, "-c", f"{begin}\n{code}").communicate(timeout=60)[1]


def _comments() -> list[str]:
    return sorted(Feedback.objects.values_list("comment", flat=True))


@pytest.mark.parametrize("rebuilds", [False, True])
def test_each_statement_of_each_process_is_one_line(settings: Settings, rebuilds: bool) -> None:
    writers = [_start_writer(settings, f"process {number}") for number in range(PROCESSES)]
    while rebuilds and any(writer.poll() is None for writer in writers):
        _lines, previous = mirror.rebuild()
        if previous:
            previous.unlink()
    assert [writer.communicate(timeout=60)[1] for writer in writers] == [""] * PROCESSES
    assert len(mirror_lines()) == PROCESSES * COUNT
    assert sorted(mirror_lines()) == _comments()
    assert not Feedback.objects.not_mirrored().exists()


def test_append_waits_for_the_lock_of_another_process(settings: Settings, mirror_file: Path) -> None:
    mirror_file.write_text("half")
    with mirror._lock():
        writer = _start_writer(settings, "waits", 1)
        while not Feedback.objects.exists():
            assert writer.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(1)
        mirror_file.write_text("half and half\n")
    assert writer.communicate(timeout=60)[1] == ""
    assert mirror_lines() == ["half and half", *_comments()]


def test_rebuild_mends_the_mirror_of_a_killed_process(settings: Settings, mirror_file: Path) -> None:
    with _start_writer(settings, "victim", 100_000) as writer:
        while not mirror_file.exists() or mirror_file.stat().st_size < 10_000:
            assert writer.poll() is None
        writer.kill()
    give_reports("after it")
    assert set(mirror_lines()) >= {"after it"}
    mirror.rebuild()
    assert sorted(mirror_lines()) == _comments()
    assert not Feedback.objects.not_mirrored().exists()


def test_full_disk_leaves_no_half_line(settings: Settings, mirror_file: Path) -> None:
    mirror_file.write_text("x" * (FULL_AT - 100) + "\n")
    code = (
        "from django.conf import settings; from feedback import mirror\n"
        "mirror._append_line(settings.FEEDBACK_FILE, 'y' * 500)"
    )
    assert "File too large" in _run_with_full_disk(settings, code)
    assert mirror_file.read_text() == "x" * (FULL_AT - 100) + "\n"


def test_full_disk_during_a_rebuild_leaves_the_mirror_alone(settings: Settings, mirror_file: Path) -> None:
    Feedback.objects.bulk_create(Feedback(comment="x" * 1000) for _ in range(FULL_AT // 1000))
    mirror_file.write_text("from an older installation\n")
    code = "from django.core.management import call_command; call_command('feedback_mirror')"
    assert "The mirror cannot be written: [Errno 27] File too large" in _run_with_full_disk(settings, code)
    assert mirror_file.read_text() == "from an older installation\n"
    assert {path.name for path in mirror_file.parent.glob("feedback*")} == {"feedback", "feedback.lock"}
    assert Feedback.objects.not_mirrored().count() == FULL_AT // 1000
