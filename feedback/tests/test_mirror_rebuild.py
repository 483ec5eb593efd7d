"""`manage.py feedback_mirror` writes the mirror again from the rows, and loses no line of the previous file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from pytest_django import Settings

from feedback import mirror
from feedback.models import Feedback
from feedback.services import feedback_give
from feedback.tests.mirror_lines import give_reports, mirror_lines
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)


def _files(mirror_file: Path) -> set[str]:
    """Returns the names of the mirror's files, without its lock."""
    return {path.name for path in mirror_file.parent.glob("feedback*")} - {"feedback.lock"}


def test_rewrites_the_file_from_the_rows(mirror_file: Path) -> None:
    give_reports("a", "b", "a", "one\ntwo")
    feedback_give(prediction=stored_prediction(), author="a", verdict=Feedback.Verdict.RIGHT)
    before = mirror_file.read_bytes()
    mirror_file.write_bytes(before[5:-3])
    lines, previous = mirror.rebuild()
    assert lines == 5
    assert mirror_file.read_bytes() == before
    assert previous is not None and previous.read_bytes() == before[5:-3]


def test_keeps_lines_that_were_never_rows(mirror_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mirror_file.write_bytes(b"from an older installation\n\xff\xfe\n")
    give_reports("x")
    call_command("feedback_mirror")
    assert mirror_lines() == ["x"]
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{mirror_file}: 1 lines."
    kept = second.removeprefix("The previous file is kept as ").removesuffix(".")
    assert Path(kept).read_bytes() == b"from an older installation\n\xff\xfe\nx\n"


def test_leaves_a_complete_file_alone(mirror_file: Path) -> None:
    give_reports("a", "a", "b")
    before = mirror_file.stat()
    assert mirror.rebuild() == (3, None)
    assert (mirror_file.stat().st_ino, mirror_file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert _files(mirror_file) == {"feedback"}


def test_interrupted_replacement_leaves_the_file(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_reports("a")
    mirror_file.write_text("older\n")

    def interrupt(path: Path, target: Path) -> Path:
        if path.name.endswith(".new"):
            raise KeyboardInterrupt
        os.rename(path, target)
        return target

    monkeypatch.setattr(Path, "rename", interrupt)
    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        mirror.rebuild()
    assert mirror_file.read_text() == "older\n"


def test_restores_a_lost_file(mirror_file: Path) -> None:
    give_reports("a", "b")
    mirror_file.unlink()
    assert mirror.rebuild() == (2, None)
    assert mirror_lines() == ["a", "b"]


def test_keeps_permissions_and_symbolic_link(mirror_file: Path) -> None:
    target = mirror_file.with_name("target")
    mirror_file.symlink_to(target)
    give_reports("a")
    target.write_text("changed\n")
    target.chmod(0o600)
    mirror.rebuild()
    assert mirror_file.readlink() == target
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("a\n", 0o600)


def test_marks_the_rows(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "CHUNK", 2)
    Feedback.objects.bulk_create(Feedback(comment=str(number)) for number in range(5))
    mirror.rebuild()
    assert not Feedback.objects.not_mirrored().exists()


def test_statement_stored_during_a_rebuild_gets_its_line(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stored after the rebuild has read the rows, and waits for the rebuild to end."""
    Feedback.objects.create(comment="before")
    stored, replace = threading.Event(), mirror._replace

    def give() -> None:
        feedback = Feedback.objects.create(comment="meanwhile")
        stored.set()
        mirror.append(feedback)
        connections.close_all()

    other = threading.Thread(target=give)

    def replace_late(path: Path, new: Path) -> Path | None:
        other.start()
        assert stored.wait(20)
        return replace(path, new)

    monkeypatch.setattr(mirror, "_replace", replace_late)
    mirror.rebuild()
    other.join(20)
    assert mirror_lines() == ["before", "meanwhile"]
    assert not Feedback.objects.not_mirrored().exists()


def test_reports_a_mirror_that_cannot_be_written(settings: Settings, mirror_file: Path) -> None:
    mirror_file.touch()
    settings.FEEDBACK_FILE = mirror_file / "feedback"
    with pytest.raises(CommandError, match="The mirror cannot be written"):
        call_command("feedback_mirror")
