"""Settings, as a new process reads them."""

import json
import os
import subprocess
import sys
from pathlib import Path

REMOVED = {"SECRET_KEY", "IDENTITY_KEY", "HTTPS", "DATABASE_URL", "REDIS_URL"}
ROOT = Path(__file__).resolve().parents[2]


def _manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    values = {name: value for name, value in os.environ.items() if name not in REMOVED}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**values, **environment}, capture_output=True, text=True, timeout=120)


def _setting(name: str, **environment: str) -> str:
    script = f"from django.conf import settings; print(settings.{name})"
    result = _manage("shell", "-v", "0", "-c", script, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_missing_secret_key_is_one_line(tmp_path: Path) -> None:
    result = _manage("check", DATA_DIR=str(tmp_path))
    assert result.returncode != 0
    assert result.stderr.startswith("manage.py: SECRET_KEY is not set.")
    assert result.stderr.count("\n") == 1


def test_commands_use_the_key_that_up_keeps(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("kept\n")
    assert _setting("SECRET_KEY", DATA_DIR=str(tmp_path)) == "kept"
    assert _setting("SECRET_KEY", DATA_DIR=str(tmp_path), SECRET_KEY="given") == "given"


def test_identity_key_outlives_the_secret_key(tmp_path: Path) -> None:
    data = {"DATA_DIR": str(tmp_path)}
    assert _setting("IDENTITY_KEY", **data, SECRET_KEY="old") == "old"
    rotated = {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": "newer, old"}
    assert _setting("SECRET_KEY_FALLBACKS", **data, **rotated) == "['newer', 'old']"
    assert _setting("IDENTITY_KEY", **data, **rotated) == "old"
    (tmp_path / "identity-key").write_text("kept\n")
    assert _setting("IDENTITY_KEY", **data, SECRET_KEY="new") == "kept"
    assert _setting("IDENTITY_KEY", **data, SECRET_KEY="new", IDENTITY_KEY="given") == "given"


def test_process_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SECRET_KEY=from-file\nMODEL=from-file\n")
    environment = {"ENV_FILE": str(file), "DATA_DIR": str(tmp_path)}
    assert _setting("MODEL", **environment) == "from-file"
    assert _setting("MODEL", **environment, MODEL="from-process") == "from-process"


def test_reading_the_settings_creates_no_files(tmp_path: Path) -> None:
    assert _setting("DATA_DIR", DATA_DIR=str(tmp_path / "missing"), SECRET_KEY="x") == str(tmp_path / "missing")
    script = "import sys; sys.argv = ['manage.py', 'up']; import mlsite.settings"
    environment = {name: value for name, value in os.environ.items() if name not in REMOVED}
    environment["DATA_DIR"] = str(tmp_path / "missing")
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True, timeout=120)
    assert not list(tmp_path.iterdir())


def test_defaults_are_safe_for_production(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-long-enough-key-with-more-than-5-different-characters-0123456789\n")
    environment = {"DATA_DIR": str(tmp_path), "SECRET_KEY_FILE": str(tmp_path / "key")}
    result = _manage("check", "--deploy", "--fail-level", "WARNING", **environment)
    assert result.returncode == 0, result.stderr
    assert _setting("DEBUG", **environment) == "False"
    assert _setting("SESSION_COOKIE_SECURE", **environment) == "True"


def test_wrong_value_stops_the_start_and_names_its_variable(tmp_path: Path) -> None:
    wrong = {
        "DEBUG": "ture",
        "UPLOAD_MAX_BYTES": "20MB",
        "REDIS_URL": "localhost:6379",
        "FEEDBACK_FILE": "~no-such-user/x",
    }
    for name, value in wrong.items():
        result = _manage("check", **{"DATA_DIR": str(tmp_path), "SECRET_KEY": "x", name: value})
        assert result.returncode != 0
        assert result.stderr.startswith(f"manage.py: {name}"), result.stderr


def test_measures_the_precision_by_default(tmp_path: Path) -> None:
    for engine in ("openvino", "tensorflow"):
        environment = {"DATA_DIR": str(tmp_path), "SECRET_KEY": "x", "ENGINE": engine, "PRECISION": ""}
        assert _setting("PRECISION", **environment) == "auto"


def test_rejects_a_precision_that_the_engine_lacks(tmp_path: Path) -> None:
    environment = {"DATA_DIR": str(tmp_path), "SECRET_KEY": "x", "ENGINE": "tensorflow", "PRECISION": "bf16"}
    result = _manage("check", **environment)
    assert result.stderr == "manage.py: PRECISION='bf16' is for ENGINE='openvino' only.\n"


def test_sqlite_uses_wal_and_immediate_transactions(tmp_path: Path) -> None:
    options = _setting("DATABASES['default']['OPTIONS']", DATA_DIR=str(tmp_path), SECRET_KEY="x")
    assert "journal_mode=WAL" in options
    assert "IMMEDIATE" in options


def test_missing_env_file_is_one_line(tmp_path: Path) -> None:
    result = _manage("check", SECRET_KEY="x", ENV_FILE=str(tmp_path / "nothing"))
    assert result.returncode != 0
    assert result.stderr == f"manage.py: ENV_FILE: there is no file {tmp_path / 'nothing'}.\n"


def test_command_without_a_database_is_one_line(tmp_path: Path) -> None:
    result = _manage("first_lead", SECRET_KEY="x", DATA_DIR=str(tmp_path))
    assert result.returncode != 0
    assert result.stderr.startswith("manage.py: the database cannot be used: ")
    assert result.stderr.count("\n") == 1


def test_waits_for_postgresql_are_limited() -> None:
    url = "postgres://name:secret@localhost/name"
    options = _setting("DATABASES['default']['OPTIONS']", SECRET_KEY="x", DATABASE_URL=url)
    assert options == "{'connect_timeout': 5, 'options': '-c lock_timeout=10s'}"
    options = _setting("DATABASES['default']['OPTIONS']", SECRET_KEY="x", DATABASE_URL=f"{url}?connect_timeout=7")
    assert "'connect_timeout': 7" in options


def test_python_warnings_are_json_log_lines(tmp_path: Path) -> None:
    """Pillow warns of broken EXIF data, for example. A program that reads the log expects JSON in every line."""
    script = "import warnings; warnings.warn('Corrupt EXIF data.')"
    result = _manage("shell", "-v", "0", "-c", script, DATA_DIR=str(tmp_path), SECRET_KEY="x", LOG_FORMAT="json")
    (line,) = map(json.loads, result.stderr.splitlines())
    assert "UserWarning: Corrupt EXIF data." in line["event"]
    assert line["logger"] == "py.warnings"
