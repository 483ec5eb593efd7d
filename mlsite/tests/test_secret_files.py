"""The secrets of a site of containers."""

from pathlib import Path

from mlsite.environment import Environment
from mlsite.secret_files import write_secrets


def _secrets(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_made_up_once_and_kept(tmp_path: Path) -> None:
    write_secrets(tmp_path, {"SECRET_KEY": "", "POSTGRES_PASSWORD": ""})
    first = _secrets(tmp_path)
    assert set(first) == {"secret-key", "database-password", "database-url"}
    assert len(first["secret-key"]) >= 50
    assert first["secret-key"] != first["database-password"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    write_secrets(tmp_path, {})
    assert _secrets(tmp_path) == first


def test_what_is_given_is_taken(tmp_path: Path) -> None:
    write_secrets(tmp_path, {})
    write_secrets(tmp_path, {"SECRET_KEY": "mine", "POSTGRES_PASSWORD": "p@ss/w:rd %"})
    assert _secrets(tmp_path)["secret-key"] == "mine"
    database = Environment({"DATABASE_URL_FILE": str(tmp_path / "database-url")}).database("DATABASE_URL", "")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("postgres", 5432, "mlsite")
    assert (database["USER"], database["PASSWORD"]) == ("mlsite", "p@ss/w:rd %")
