"""`manage.py dumpdata` writes everything, and `loaddata` reads it into a new database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from devtools.running import ROOT


def _manage(data_dir: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    command = [sys.executable, "manage.py", *arguments]
    options = {"cwd": ROOT, "env": environment | {"DATA_DIR": str(data_dir)}, "capture_output": True, "text": True}
    result = subprocess.run(command, timeout=300, **options)  # type: ignore[call-overload]
    assert result.returncode == 0, result.stderr
    return str(result.stdout)


# As docs/deploying.md says.
PORTABLE = ("--natural-foreign", "--natural-primary", "--exclude=contenttypes", "--exclude=auth.permission")


@pytest.mark.parametrize("options", [(), PORTABLE], ids=["everything", "portable"])
def test_new_database_gets_the_rows_of_another(tmp_path: Path, options: tuple[str, ...]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    dumps = [tmp_path / "first.json", tmp_path / "second.json"]
    for folder in (first, second):
        folder.mkdir()
        _manage(folder, "migrate", "--verbosity=0")
    _manage(first, "seed_review", "--generated", "--cases=12", "--statements=30")
    _manage(first, "dumpdata", *options, f"--output={dumps[0]}")
    _manage(second, "loaddata", str(dumps[0]))
    _manage(second, "dumpdata", *options, f"--output={dumps[1]}")
    # Django writes a time with milliseconds, and a whole second that it has read without.
    rows, again = (json.loads(dump.read_text().replace('.000Z"', 'Z"')) for dump in dumps)
    assert rows == again
    assert {"review.case", "review.decision", "feedback.feedback"} <= {row["model"] for row in rows}
    _manage(second, "check", "--database=default")


@pytest.mark.django_db
def test_failed_dump_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "dump.json"
    call_command("dumpdata", output=str(output))
    before = output.read_text()
    assert json.loads(before)
    with connection.execute_wrapper(_fail_on_cases), pytest.raises(CommandError, match="no space"):
        call_command("dumpdata", output=str(output))
    assert output.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["dump.json"]


def _fail_on_cases(execute: object, sql: str, *arguments: object) -> object:
    if "feedback_feedback" in sql:
        raise OSError("no space")
    return execute(sql, *arguments)  # type: ignore[operator]


@pytest.mark.django_db
def test_unwritable_output_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="^Cannot write .*: No such file or directory$"):
        call_command("dumpdata", output=str(tmp_path / "missing" / "dump.json"))


@pytest.mark.django_db
def test_prints_without_output(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("dumpdata", "auth.group")
    assert {row["fields"]["name"] for row in json.loads(capsys.readouterr().out)} == {"Reviewers", "Leads"}
