"""A database from the time when cases and data sets belonged to the package `feedback` still migrates.

`data/database_before_review_package.sql` is an SQLite dump of rows that the services of that time wrote.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

DUMP = Path(__file__).parent / "data" / "database_before_review_package.sql"


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old database after `manage.py migrate`."""
    folder = tmp_path_factory.mktemp("upgraded")
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        database.executescript(DUMP.read_text(encoding="utf-8"))
    _manage(folder, "migrate", "--verbosity=0")
    return folder


def _manage(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}", "DATA_DIR": str(folder)}
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    return done.stdout


def _rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        return database.execute(query).fetchall()


def test_keeps_all_rows(upgraded: Path) -> None:
    tables = {
        "predictions_image": 7,
        "predictions_prediction": 7,
        "feedback_feedback": 7,
        "review_case": 5,
        "review_decision": 5,
        "review_skip": 1,
        "learning_export": 1,
        "auth_user": 3,
    }
    for table, number in tables.items():
        assert _rows(upgraded, f"SELECT COUNT(*) FROM {table}") == [(number,)], table


def test_feedback_belongs_to_the_image_of_its_prediction(upgraded: Path) -> None:
    query = """
        SELECT COUNT(*) FROM feedback_feedback f LEFT JOIN predictions_prediction p ON p.id = f.prediction_id
        WHERE f.image_id IS NOT p.image_id
    """
    assert _rows(upgraded, query) == [(0,)]
    assert _rows(upgraded, "SELECT COUNT(image_id) FROM feedback_feedback") == [(6,)]  # and one legacy report


def test_recounting_a_case_changes_nothing(upgraded: Path) -> None:
    code = """
import json
from review.models import Case
from review.opening import case_recount
columns = ("pk", "weight", "wrong_count", "is_disputed", "expected_label", "state", "verdict", "label")
before = list(Case.objects.order_by("pk").values_list(*columns))
for case in Case.objects.all():
    case_recount(case)
print(json.dumps([before, list(Case.objects.order_by("pk").values_list(*columns))]))
"""
    before, after = json.loads(_manage(upgraded, "shell", "--verbosity=0", "--command", code))
    assert before == after
    assert [row[1:] for row in before[:2]] == [
        [2, 1, True, "consomme", "decided", "corrected", "consomme"],
        [1, 1, True, "", "open", "", ""],
    ]


def test_cases_count_people_instead_of_statements(tmp_path: Path) -> None:
    """Author `one` has sent the first picture again, and has said something else about the second answer."""
    prediction = "00000000000040008000000000000008"
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        database.executescript(DUMP.read_text(encoding="utf-8"))
        columns = [row[1] for row in database.execute("PRAGMA table_info(predictions_prediction)")]
        same = ", ".join(f"'{prediction}'" if name == "id" else name for name in columns)
        database.execute(f"INSERT INTO predictions_prediction SELECT {same} FROM predictions_prediction LIMIT 1")
        statement = "'wrong', 'cup', '', '2026-11-27', ?, 'one', '', 1, '2026-11-27 08:00:00', 1"
        database.execute(f"INSERT INTO feedback_feedback VALUES (8, {statement})", [prediction])
        database.execute("UPDATE feedback_case SET weight = 3, wrong_count = 2 WHERE id = 1")
        database.commit()
    _manage(tmp_path, "migrate", "--verbosity=0")
    counted = "SELECT weight, sender_count, wrong_count, expected_label FROM review_case WHERE id < 4 ORDER BY id"
    assert _rows(tmp_path, counted) == [(2, 2, 1, "cup"), (1, 1, 1, ""), (1, 1, 0, "")]


def test_permissions_and_log_entries_follow_their_models(upgraded: Path) -> None:
    granted = """
        SELECT c.app_label, p.codename FROM auth_permission p JOIN django_content_type c ON c.id = p.content_type_id
    """
    own = f"{granted} JOIN auth_user_user_permissions u ON u.permission_id = p.id"
    assert _rows(upgraded, own) == [("review", "decide_case")]
    leads = f"""{granted} JOIN auth_group_permissions gp ON gp.permission_id = p.id
        JOIN auth_group g ON g.id = gp.group_id WHERE g.name = 'Leads'"""
    assert {("review", "reopen_case"), ("learning", "add_export")} <= set(_rows(upgraded, leads))
    logged = "SELECT app_label FROM django_admin_log l JOIN django_content_type c ON c.id = l.content_type_id"
    assert _rows(upgraded, logged) == [("learning",)]
    assert _rows(upgraded, "SELECT * FROM django_content_type WHERE app_label = 'feedback' AND model = 'case'") == []


def test_tables_equal_those_of_a_new_database(upgraded: Path, tmp_path: Path) -> None:
    _manage(tmp_path, "migrate", "--verbosity=0")
    query = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2"
    assert _rows(upgraded, query) == _rows(tmp_path, query)
    for name in ("feedback_feedback", "review_case", "review_decision", "review_skip", "learning_export"):
        columns = f"SELECT name, type, \"notnull\" FROM pragma_table_info('{name}') ORDER BY name"
        assert _rows(upgraded, columns) == _rows(tmp_path, columns)


def test_first_migrate_can_be_interrupted_after_each_migration(tmp_path: Path) -> None:
    code = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
executor = MigrationExecutor(connection)
for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes()):
    if migration.app_label in {"predictions", "feedback", "review", "learning"}:
        MigrationExecutor(connection).migrate([(migration.app_label, migration.name)])
"""
    _manage(tmp_path, "shell", "--verbosity=0", "--command", code)
    _manage(tmp_path, "migrate", "--verbosity=0")
    assert _rows(tmp_path, "SELECT COUNT(*) FROM feedback_feedback") == [(0,)]
