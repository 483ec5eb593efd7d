"""System checks of the mirror."""

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
    return Feedback.objects.create(comment="x", created_at=timezone.now() - age)


def test_warns_if_the_folder_cannot_be_created(settings: Settings, tmp_path: Path) -> None:
    assert _found() == []
    (tmp_path / "a file").touch()
    settings.FEEDBACK_FILE = tmp_path / "a file" / "feedback"
    (message,) = checks.mirror_can_be_written()
    assert message.id == "feedback.W001"
    assert "cannot be written" in message.msg and "manage.py feedback_mirror" in str(message.hint)
    assert _found() == ["feedback.W001"]


def test_warns_of_a_folder_in_place_of_the_file(settings: Settings, tmp_path: Path) -> None:
    settings.FEEDBACK_FILE = tmp_path
    assert _found() == ["feedback.W001"]


def test_leaves_the_file_alone(mirror_file: Path) -> None:
    mirror_file.write_text("x\n")
    assert _found() == []
    assert mirror_file.read_text() == "x\n"


def test_creates_nothing(settings: Settings, tmp_path: Path) -> None:
    settings.FEEDBACK_FILE = tmp_path / "deep" / "down"
    assert _found() == []
    assert not settings.FEEDBACK_FILE.parent.exists()


@pytest.mark.django_db
def test_counts_missing_lines() -> None:
    _row(age=2 * mirror.APPEND_TIME)
    assert _found() == [], "without `--database` the check does not query the database"
    assert _found(databases=["default"]) == ["feedback.W002"]
    (message,) = checks.mirror_is_complete(databases=["default"])
    assert message.msg == "Lines missing in the feedback mirror: 1."
    mirror.rebuild()
    assert _found(databases=["default"]) == []


@pytest.mark.django_db
def test_does_not_count_a_statement_just_stored() -> None:
    _row(age=timedelta(0))
    assert _found(databases=["default"]) == []


@pytest.mark.django_db
def test_is_silent_before_the_first_migration() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE feedback_feedback")
    assert _found(databases=["default"]) == []
