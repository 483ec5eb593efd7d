"""The code of one release works on the tables of the next: see "Upgrading" in docs/deploying.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations import (
    AddField,
    AlterModelTable,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
)
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED, BooleanField, ManyToManyField

# The migrations of release 0.1.0, before which there was no site to upgrade.
FIRST_RELEASE = {
    ("predictions", "0001_initial"),
    ("feedback", "0001_squashed_0004_export"),
    ("feedback", "0002_feedback_image"),
    ("feedback", "0003_remove_feedback_case"),
    ("review", "0001_initial"),
    ("review", "0002_own_tables"),
    ("review", "0003_keys_of_writes"),
    ("learning", "0001_initial"),
    ("learning", "0002_own_tables"),
}

# Columns and tables that are removed, with the release whose code was the first not to use them. That release must be
# older than the one that removes them.
REMOVED: dict[tuple[str, str], str] = {}


def _new_migrations() -> Iterator[Migration]:
    own = {config.label for config in apps.get_app_configs() if (settings.BASE_DIR / config.label).is_dir()}
    for key, migration in MigrationLoader(None).disk_migrations.items():
        if key[0] in own and key not in FIRST_RELEASE:
            yield migration


def _problem(operation: Operation) -> str:
    """Returns why the earlier release fails after this operation, or an empty string."""
    if isinstance(operation, RenameField | RenameModel | AlterModelTable):
        return "renames what the earlier release still uses"
    if isinstance(operation, RemoveField | DeleteModel):
        name = (getattr(operation, "model_name", operation.name).lower(), operation.name.lower())
        return "" if name in REMOVED else "removes what the earlier release may use"
    if not isinstance(operation, AddField) or isinstance(operation.field, ManyToManyField):
        return ""
    field = operation.field
    can_be_left_out = field.null or field.db_default is not NOT_PROVIDED or field.generated
    return "" if can_be_left_out else "adds a column that the earlier release does not fill in: it needs a db_default"


def test_new_migrations_keep_the_earlier_release_working() -> None:
    problems = [
        f"{migration}: {operation.describe()}: {problem}"
        for migration in _new_migrations()
        for operation in migration.operations
        if (problem := _problem(operation))
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("operation", "is_safe"),
    [
        (AddField("case", "seen", BooleanField()), False),
        (AddField("case", "seen", BooleanField(default=False)), False),
        (AddField("case", "seen", BooleanField(db_default=False)), True),
        (AddField("case", "seen", BooleanField(null=True)), True),
        (RemoveField("case", "label"), False),
        (RenameField("case", "label", "word"), False),
        (DeleteModel("case"), False),
    ],
    ids=str,
)
def test_recognizes_what_breaks_the_earlier_release(operation: Operation, is_safe: bool) -> None:
    assert (_problem(operation) == "") is is_safe
