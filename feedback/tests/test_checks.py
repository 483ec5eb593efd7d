from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from feedback import checks, mirror
from feedback.models import Feedback


def _found(*, databases: list[str] | None = None) -> list[str]:
    return [str(message.id) for message in run_checks(databases=databases) if str(message.id).startswith("feedback.")]


def _row(*, age: timedelta) -> Feedback:
    feedback = Feedback.objects.create(comment="x")
    Feedback.objects.filter(pk=feedback.pk).update(created_at=timezone.now() - age)
    return feedback


def test_it_works(settings: Settings, tmp_path: Path) -> None:
    assert _found() == []
    (tmp_path / "a file").touch()
    settings.FEEDBACK_FILE = tmp_path / "a file" / "feedback"
    (message,) = checks.mirror_can_be_written()
    assert message.id == "feedback.W001"
    assert "cannot be written" in message.msg and "--rebuild" in str(message.hint)
    assert _found() == ["feedback.W001"]


def test_a_folder_in_its_place(settings: Settings, tmp_path: Path) -> None:
    settings.FEEDBACK_FILE = tmp_path
    assert _found() == ["feedback.W001"]


def test_a_file_that_is_there(settings: Settings) -> None:
    path = Path(settings.FEEDBACK_FILE)
    path.write_text("x\n")
    assert _found() == []
    assert path.read_text() == "x\n"


def test_looking_makes_nothing(settings: Settings, tmp_path: Path) -> None:
    settings.FEEDBACK_FILE = tmp_path / "deep" / "down"
    assert _found() == []
    assert not settings.FEEDBACK_FILE.parent.exists()


@pytest.mark.django_db
def test_missing_lines() -> None:
    _row(age=2 * mirror.UNDER_WAY)
    assert _found() == [], "without a database nothing is asked of it"
    assert _found(databases=["default"]) == ["feedback.W002"]
    (message,) = checks.mirror_is_complete(databases=["default"])
    assert message.msg.startswith("1 statements are missing")
    mirror.rebuild()
    assert _found(databases=["default"]) == []


@pytest.mark.django_db
def test_what_is_under_way_is_not_missing() -> None:
    _row(age=timedelta(0))
    assert _found(databases=["default"]) == []


@pytest.mark.django_db
def test_before_the_first_migration() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE feedback_feedback")
    assert _found(databases=["default"]) == []
