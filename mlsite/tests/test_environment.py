from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from mlsite.environment import Environment, kept_secret, read_environment, writable_folder


def _refused(pattern: str):
    return pytest.raises(ImproperlyConfigured, match=pattern)


def test_it_works(tmp_path: Path) -> None:
    env = Environment({"NAME": " value ", "COUNT": "7", "ON": "Yes", "LIST": "a, b,,c", "WHERE": "sub/folder"})
    assert env.text("NAME") == "value"
    assert env.number("COUNT", 1, minimum=0, maximum=10) == 7
    assert env.flag("ON", False) is True
    assert env.words("LIST", []) == ["a", "b", "c"]
    assert env.path("WHERE", tmp_path, base=tmp_path) == tmp_path / "sub" / "folder"


def test_empty_means_default() -> None:
    env = Environment({"NAME": "", "COUNT": " ", "ON": ""})
    assert env.text("NAME", "default") == "default"
    assert env.number("COUNT", 3, minimum=0, maximum=10) == 3
    assert env.flag("ON", True) is True
    assert env.words("LIST", ["a"]) == ["a"]


@pytest.mark.parametrize("value", ["ture", "2", "y", "-"])
def test_a_flag_that_is_neither_yes_nor_no(value: str) -> None:
    with _refused("DEBUG='.*' is neither yes nor no"):
        Environment({"DEBUG": value}).flag("DEBUG", False)


@pytest.mark.parametrize(("value", "why"), [("7.5", "whole number"), ("many", "whole number"), ("11", "out of range")])
def test_a_number_that_is_none(value: str, why: str) -> None:
    with _refused(f"COUNT=.*{why}"):
        Environment({"COUNT": value}).number("COUNT", 1, minimum=0, maximum=10)


def test_a_choice_that_is_none() -> None:
    with _refused("ENGINE='torch' is none of: openvino, tensorflow"):
        Environment({"ENGINE": "torch"}).choice("ENGINE", "openvino", ["openvino", "tensorflow"])


def test_a_secret_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hush\n")
    assert Environment({"KEY_FILE": str(file)}).secret("KEY") == "hush"
    with _refused("KEY and KEY_FILE are both set"):
        Environment({"KEY": "x", "KEY_FILE": str(file)}).secret("KEY")
    with _refused("KEY_FILE: cannot read"):
        Environment({"KEY_FILE": str(tmp_path / "none")}).secret("KEY")
    file.write_text("\n")
    with _refused("KEY_FILE: .* is empty"):
        Environment({"KEY_FILE": str(file)}).secret("KEY")


def test_databases() -> None:
    postgres = Environment({"DATABASE_URL": "postgres://u:p%40ss@db:5433/name"}).database("DATABASE_URL", "")
    assert postgres["ENGINE"] == "django.db.backends.postgresql"
    assert (postgres["USER"], postgres["PASSWORD"], postgres["HOST"], postgres["PORT"]) == ("u", "p@ss", "db", 5433)
    sqlite = Environment({}).database("DATABASE_URL", "sqlite:////data/db.sqlite3")
    assert sqlite["NAME"] == "/data/db.sqlite3"
    with _refused("must be sqlite:// or postgres://"):
        Environment({"DATABASE_URL": "mysql://u@db/name"}).database("DATABASE_URL", "")


def test_the_process_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("MLSITE_TEST_A=file\nMLSITE_TEST_B=file\n")
    monkeypatch.setenv("MLSITE_TEST_A", "process")
    monkeypatch.setenv("MLSITE_TEST_B", "removed below")
    monkeypatch.delenv("MLSITE_TEST_B")
    env = read_environment(file)
    assert (env.text("MLSITE_TEST_A"), env.text("MLSITE_TEST_B")) == ("process", "file")


def test_a_kept_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"
    secret = kept_secret(path)
    assert len(secret) > 50
    assert kept_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with _refused("DATA_DIR: cannot make the folder .*: Not a directory"):
        writable_folder(tmp_path / "file" / "data", "DATA_DIR")
    assert writable_folder(tmp_path / "new" / "data", "DATA_DIR").is_dir()
