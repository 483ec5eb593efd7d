"""The plain text mirror: what a line looks like, and that nothing is ever lost, torn or written twice."""

from __future__ import annotations

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from feedback import mirror
from feedback.models import Feedback
from feedback.services import feedback_give, report_take
from feedback.tests.mirror_lines import give_reports, mirror_lines
from predictions.tests.fakes import stored_prediction

FULL = Path("/dev/full")  # each write fails with "no space left on device"

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_works(mirror_file: Path) -> None:
    prediction = stored_prediction()
    feedback = feedback_give(
        author="a", prediction=prediction, verdict=Feedback.Verdict.WRONG, expected_words="Käse", comment="one\ntwo"
    )
    (line,) = mirror_lines()
    assert "Käse" in line, "people read it"
    values = json.loads(line)
    assert datetime.fromisoformat(values.pop("at")).astimezone(UTC) <= feedback.created_at
    assert values == {
        "prediction": str(prediction.id),
        "image": prediction.image.sha256,
        "model": "fake-net@1",
        "label": "espresso",
        "score": 0.9512345,
        "verdict": "wrong",
        "expected": "Käse",
        "comment": "one\ntwo",
    }
    feedback.refresh_from_db()
    assert feedback.mirrored_at is not None


def test_the_folder_is_made(settings: Settings, tmp_path: Path) -> None:
    settings.FEEDBACK_FILE = tmp_path / "deep" / "down" / "feedback"
    give_reports("x")
    assert mirror_lines(settings.FEEDBACK_FILE) == ["x"]


def test_rotated_away(mirror_file: Path) -> None:
    give_reports("old")
    mirror_file.rename(mirror_file.with_suffix(".1"))
    give_reports("new")
    assert (mirror_lines(mirror_file.with_suffix(".1")), mirror_lines()) == (["old"], ["new"])


def test_rotated_away_while_waiting_for_the_lock(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_reports("old")
    flock = fcntl.flock

    def late(file: int, operation: int) -> None:
        monkeypatch.undo()
        mirror_file.rename(mirror_file.with_suffix(".1"))
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    give_reports("new")
    assert (mirror_lines(mirror_file.with_suffix(".1")), mirror_lines()) == (["old"], ["new"])


def test_a_torn_line_stays_by_itself(mirror_file: Path) -> None:
    mirror_file.write_text("whole\nto")
    give_reports("new")
    assert mirror_lines() == ["whole", "to", "new"]


def test_appended_twice(mirror_file: Path) -> None:
    feedback = report_take(text="x")
    assert mirror.append(feedback)
    assert mirror_lines() == ["x"]


# --- A mirror that cannot be written --------------------------------------------------------------


@pytest.fixture(params=["no folder", "a folder in its place", "disk full"])
def unwritable(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    paths = {
        "no folder": tmp_path / "a file" / "feedback",
        "a folder in its place": tmp_path / "a folder",
        "disk full": FULL,
    }
    settings.FEEDBACK_FILE = paths[request.param]


def test_nothing_is_lost(
    unwritable: None, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    feedback = report_take(text="x")
    feedback.refresh_from_db()
    assert (feedback.comment, feedback.mirrored_at) == ("x", None)
    assert f"Feedback {feedback.pk} is stored, but its line is missing" in caplog.text
    if settings.FEEDBACK_FILE != FULL:  # which never ends when it is read
        with pytest.raises(OSError):
            mirror.rebuild()
    settings.FEEDBACK_FILE = tmp_path / "mended"
    assert mirror.rebuild() == 1
    assert mirror_lines(settings.FEEDBACK_FILE) == ["x"]


def test_a_write_that_breaks_off_leaves_no_half_line(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_reports("whole")
    write = os.write

    def half(file: int, content: bytes) -> int:
        if len(content) < 10:
            raise OSError("No space left on device")
        return write(file, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", half)
    give_reports("a line that is too long for the disk")
    monkeypatch.undo()
    assert mirror_file.read_text() == "whole\n"
    assert Feedback.objects.not_mirrored().count() == 1


def test_killed_between_line_and_mark(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is never there without the line: what dies in between is found by the check and by a rebuild."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mirror, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        give_reports("x")
    monkeypatch.undo()
    assert Feedback.objects.not_mirrored().count() == 1
