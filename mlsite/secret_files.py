"""Secrets that the site generates once and keeps in files.

`manage.py up` keeps its secret key in such a file. `python -m mlsite.secret_files FOLDER` writes the secrets that
containers share. It stores the secrets that the environment gives (`SECRET_KEY`, `POSTGRES_PASSWORD`) and generates the
others. It runs before all other containers, and without the settings, which need a secret themselves.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured

from worker.inference.repository.files import replace_text

DATABASE = "mlsite"  # name of the database and of its owner
DATABASE_HOST = "postgres"


def read_secret(path: Path) -> str:
    """The secret in this file, or an empty string if the file does not exist."""
    variable = path.name.upper().replace("-", "_")
    try:
        secret = path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise ImproperlyConfigured(f"{variable} is not set, and {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise ImproperlyConfigured(f"{variable} is not set, and {path} is empty: remove it.")
    return secret


def kept_secret(path: Path, first: str = "") -> str:
    """The secret in this file. If the file does not exist, it is created with `first`, or else a generated secret.

    Only the owner can read the file.
    """
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write((first or secrets.token_urlsafe(50)) + "\n")
    except FileExistsError:
        pass  # an earlier start generated it
    return read_secret(path)


def write_secrets(folder: Path, environment: Mapping[str, str]) -> None:
    """Writes `secret-key`, `database-password`, and `database-url`, which holds that password."""
    os.umask(0o077)
    _keep(folder / "secret-key", environment.get("SECRET_KEY", "").strip())
    password = _keep(folder / "database-password", environment.get("POSTGRES_PASSWORD", "").strip())
    # PostgreSQL reads the password only when it creates its folder. A password that changes later has to be changed
    # there too.
    replace_text(
        folder / "database-url", f"postgres://{DATABASE}:{quote(password, safe='')}@{DATABASE_HOST}:5432/{DATABASE}\n"
    )


def _keep(path: Path, given: str) -> str:
    if given:
        replace_text(path, given + "\n")
    return kept_secret(path)


if __name__ == "__main__":
    write_secrets(Path(sys.argv[1]), os.environ)
