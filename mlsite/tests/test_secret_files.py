"""Secrets that are generated once and kept in files."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from mlsite.environment import database
from mlsite.secret_files import kept_secret, write_secrets


def _secrets(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_generates_secrets_once(tmp_path: Path) -> None:
    write_secrets(tmp_path, {"SECRET_KEY": "", "POSTGRES_PASSWORD": ""})
    first = _secrets(tmp_path)
    assert set(first) == {"secret-key", "database-password", "database-url"}
    assert len(first["secret-key"]) >= 50
    assert first["secret-key"] != first["database-password"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    write_secrets(tmp_path, {})
    assert _secrets(tmp_path) == first


def test_stores_given_secrets(tmp_path: Path) -> None:
    write_secrets(tmp_path, {})
    write_secrets(tmp_path, {"SECRET_KEY": "mine", "POSTGRES_PASSWORD": "p@ss/w:rd %"})
    assert _secrets(tmp_path)["secret-key"] == "mine"
    parsed = database(_secrets(tmp_path)["database-url"])
    assert (parsed["HOST"], parsed["PORT"], parsed["NAME"]) == ("postgres", 5432, "mlsite")
    assert (parsed["USER"], parsed["PASSWORD"]) == ("mlsite", "p@ss/w:rd %")


def test_kept_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"
    secret = kept_secret(path)
    assert len(secret) > 50
    assert kept_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_rejects_an_unreadable_or_empty_secret(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "secret-key"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    with pytest.raises(ImproperlyConfigured, match=f"SECRET_KEY is not set, and {path}"):
        kept_secret(path)
