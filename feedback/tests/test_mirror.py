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
from predictions.tests.fakes import stored_prediction

FULL = Path("/dev/full")  # each write fails with "no space left on device"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def path(settings: Settings) -> Path:
    return Path(settings.FEEDBACK_FILE)


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1]


def _reports(*texts: str) -> None:
    for text in texts:
        report_take(text=text)


def test_it_works(path: Path) -> None:
    prediction = stored_prediction()
    feedback = feedback_give(
        author="a", prediction=prediction, verdict=Feedback.Verdict.WRONG, expected_words="Käse", comment="one\ntwo"
    )
    (line,) = _lines(path)
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
    _reports("x")
    assert _lines(settings.FEEDBACK_FILE) == ["x"]


def test_rotated_away(path: Path) -> None:
    _reports("old")
    path.rename(path.with_suffix(".1"))
    _reports("new")
    assert (_lines(path.with_suffix(".1")), _lines(path)) == (["old"], ["new"])


def test_rotated_away_while_waiting_for_the_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _reports("old")
    flock = fcntl.flock

    def late(file: int, operation: int) -> None:
        monkeypatch.undo()
        path.rename(path.with_suffix(".1"))
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    _reports("new")
    assert (_lines(path.with_suffix(".1")), _lines(path)) == (["old"], ["new"])


def test_a_torn_line_stays_by_itself(path: Path) -> None:
    path.write_text("whole\nto")
    _reports("new")
    assert _lines(path) == ["whole", "to", "new"]


def test_appended_twice(path: Path) -> None:
    feedback = report_take(text="x")
    assert mirror.append(feedback)
    assert _lines(path) == ["x"]


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
    assert _lines(settings.FEEDBACK_FILE) == ["x"]


def test_a_write_that_breaks_off_leaves_no_half_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _reports("whole")
    write = os.write

    def half(file: int, content: bytes) -> int:
        if len(content) < 10:
            raise OSError("No space left on device")
        return write(file, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", half)
    _reports("a line that is too long for the disk")
    monkeypatch.undo()
    assert path.read_text() == "whole\n"
    assert Feedback.objects.not_mirrored().count() == 1


def test_killed_between_line_and_mark(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is never there without the line: what dies in between is found by the check and by a rebuild."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mirror, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        _reports("x")
    monkeypatch.undo()
    assert Feedback.objects.not_mirrored().count() == 1
