"""Reading settings from the environment."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from mlsite.environment import Env, boolean, database, networks, number, one_of

env = Env()
ENGINE = one_of("openvino", "tensorflow")
COUNT = number(int, 0, 10)
SHARE = number(float, 0, 1)


@pytest.mark.parametrize(
    ("given", "cast", "value"),
    [
        (" text ", None, "text"),
        ("$text", None, "$text"),
        ("tensorflow", ENGINE, "tensorflow"),
        ("7", COUNT, 7),
        ("0.5", SHARE, 0.5),
        ("Yes", boolean, True),
        ("0", boolean, False),
        ("10.0.0.1, fd00::/8,", networks, [ip_network("10.0.0.1/32"), ip_network("fd00::/8")]),
    ],
)
def test_reads_values(monkeypatch: pytest.MonkeyPatch, given: str, cast: Any, value: object) -> None:
    monkeypatch.setenv("NAME", given)
    assert env("NAME", cast=cast) == value


def test_reads_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "a, b,,c")
    assert env.list("NAME", cast=str.strip) == ["a", "b", "c"]


@pytest.mark.parametrize("empty", ["", " "])
def test_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    assert env("NAME", cast=COUNT, default=3) == 3
    monkeypatch.setenv("NAME", empty)
    assert env("NAME", cast=COUNT, default=3) == 3


@pytest.mark.parametrize(
    ("given", "cast", "reason"),
    [
        ("ture", boolean, "'ture' is none of: true, yes, on, 1, false, no, off, 0"),
        ("2", boolean, "'2' is none of: "),
        ("7.5", COUNT, "invalid literal for int.*: '7.5'"),
        ("11", COUNT, "11 is out of range: 0 to 10"),
        ("-0.1", SHARE, "-0.1 is out of range: 0 to 1"),
        ("nan", SHARE, "nan is out of range: 0 to 1"),
        ("torch", ENGINE, "'torch' is none of: openvino, tensorflow"),
        ("10.0.0.1/8", networks, "10.0.0.1/8 has host bits set"),
        ("proxy.internal", networks, "'proxy.internal' does not appear to be an IPv4 or IPv6 network"),
        ("mysql://u@db/name", database, "it must be sqlite:// or postgres://"),
        ("postgres://u@db:port/name", database, "'port'"),
        ("sqlite", database, "it must be sqlite:// or postgres://"),
        ("sqlite://db.sqlite3", database, "the URL names no file"),
        ("sqlite:///:memory:", database, "the URL names no file"),
    ],
)
def test_rejects_wrong_values(monkeypatch: pytest.MonkeyPatch, given: str, cast: Any, reason: str) -> None:
    monkeypatch.setenv("NAME", given)
    with pytest.raises(ImproperlyConfigured, match=f"^NAME: .*{reason}"):
        env("NAME", cast=cast)


def test_reads_a_secret_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text("hush\n")
    monkeypatch.setenv("NAME_FILE", str(file))
    assert env("NAME") == "hush"
    file.write_text("\n")
    with pytest.raises(ImproperlyConfigured, match="NAME_FILE: .* is empty"):
        env("NAME")
    file.unlink()
    with pytest.raises(ImproperlyConfigured, match="NAME_FILE: cannot read"):
        env("NAME")
    monkeypatch.setenv("NAME", "x")
    with pytest.raises(ImproperlyConfigured, match="NAME and NAME_FILE are both set"):
        env("NAME")


def test_parses_database_urls() -> None:
    postgres = database("postgres://u:p%40ss@db:5433/name")
    assert postgres["ENGINE"] == "django.db.backends.postgresql"
    assert (postgres["USER"], postgres["PASSWORD"], postgres["HOST"], postgres["PORT"]) == ("u", "p@ss", "db", 5433)
    assert database("sqlite:////data/db.sqlite3")["NAME"] == "/data/db.sqlite3"
