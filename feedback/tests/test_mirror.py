"""Appending statements to the mirror: the format of a line, and a file that is rotated, torn or not writable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from pytest_django import Settings

from feedback import mirror
from feedback.models import Feedback
from feedback.services import feedback_give, report_take
from feedback.tests.mirror_lines import give_reports, mirror_lines
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)


def test_appends_statement_as_json(mirror_file: Path) -> None:
    prediction = stored_prediction()
    feedback = feedback_give(
        author="a", prediction=prediction, verdict=Feedback.Verdict.WRONG, expected_words="Käse", comment="one\ntwo"
    )
    (line,) = mirror_lines()
    assert "Käse" in line, "people can read it"
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


def test_lines_keep_the_format_of_earlier_versions(mirror_file: Path) -> None:
    """A rebuild writes the same bytes as the versions that appended the lines."""
    prediction = stored_prediction(id=UUID("a29e0c37-cd5c-4bb7-9157-d5ef92b1be52"), score=0.9512345)
    wrong = {"prediction": prediction, "image": prediction.image, "verdict": "wrong"}
    Feedback.objects.bulk_create(
        [
            Feedback(**wrong, expected_label="cup", comment='Zu "groß"\n\\o/'),
            Feedback(**wrong, expected_words="lungo"),
            Feedback(comment="ein\u2028Bericht\r\nin zwei Zeilen\x85"),
            Feedback(**wrong, comment="\x1b[2J \x9b"),
        ]
    )
    Feedback.objects.update(created_at=datetime(2026, 11, 23, 14, 20, 7, 123456, tzinfo=UTC))
    begin = (
        '{"at": "2026-11-23T14:20:07.123+00:00", "prediction": "a29e0c37-cd5c-4bb7-9157-d5ef92b1be52", '
        f'"image": "{prediction.image.sha256}", "model": "fake-net@1", "label": "espresso", "score": 0.9512345, '
        '"verdict": "wrong", '
    )
    mirror.rebuild()
    assert mirror_lines() == [
        begin + '"expected": "cup", "comment": "Zu \\"groß\\"\\n\\\\o/"}',
        begin + '"expected": "lungo", "comment": ""}',
        "ein\u2028Bericht in zwei Zeilen\ufffd",
        begin + '"expected": "", "comment": "\\u001b[2J \ufffd"}',
    ]


def test_line_has_the_words_beside_a_label(mirror_file: Path) -> None:
    feedback_give(
        prediction=stored_prediction(), author="a", verdict="wrong", expected_label="cup", expected_words="demitasse"
    )
    values = json.loads(mirror_lines()[0])
    assert (values["expected"], values["words"]) == ("cup", "demitasse")


def test_creates_the_folder(settings: Settings, tmp_path: Path) -> None:
    settings.FEEDBACK_FILE = tmp_path / "deep" / "down" / "feedback"
    give_reports("x")
    assert mirror_lines() == ["x"]


def test_starts_a_new_file_after_log_rotation(mirror_file: Path) -> None:
    give_reports("old")
    mirror_file.rename(mirror_file.with_suffix(".1"))
    give_reports("new")
    assert (mirror_lines(mirror_file.with_suffix(".1")), mirror_lines()) == (["old"], ["new"])


def test_starts_a_new_line_after_a_torn_one(mirror_file: Path) -> None:
    mirror_file.write_text("whole\nto")
    give_reports("new")
    assert mirror_lines() == ["whole", "to", "new"]


def test_appends_a_statement_once(mirror_file: Path) -> None:
    mirror.append(report_take(text="x"))
    assert mirror_lines() == ["x"]


def test_statement_is_not_marked_before_its_line_is_written(mirror_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mirror, "_append_line", interrupt)
    with pytest.raises(KeyboardInterrupt):
        give_reports("x")
    assert Feedback.objects.not_mirrored().count() == 1


@pytest.mark.parametrize("obstacle", ["a file in place of the folder", "a folder in place of the file", "a full disk"])
def test_stores_statement_when_mirror_cannot_be_written(
    obstacle: str, settings: Settings, mirror_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if obstacle == "a full disk":
        mirror_file.symlink_to("/dev/full")  # each write fails with "No space left on device"
    elif obstacle == "a folder in place of the file":
        mirror_file.mkdir()
    else:
        mirror_file.touch()
        settings.FEEDBACK_FILE = mirror_file / "feedback"
    feedback = report_take(text="x")
    feedback.refresh_from_db()
    assert (feedback.comment, feedback.mirrored_at) == ("x", None)
    assert f"Feedback {feedback.pk} is stored, but its line is missing" in caplog.text
    settings.FEEDBACK_FILE = mirror_file.with_name("writable")
    mirror.rebuild()
    assert mirror_lines() == ["x"]
    assert not Feedback.objects.not_mirrored().exists()
