"""`python -m mlsite.secret_files FOLDER`: the secrets of a site of containers, one file each.

Runs before anything that needs them, and so without the site's settings, which need one themselves. What the
environment gives (`SECRET_KEY`, `POSTGRES_PASSWORD`) is written down; what it does not give is made up once and kept.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from mlsite.environment import Environment, kept_secret
from worker.inference.repository.files import replace_text

DATABASE = "mlsite"  # name of the database, and of its owner
DATABASE_HOST = "postgres"


def write_secrets(folder: Path, environment: Mapping[str, str]) -> None:
    """Files `secret-key`, `database-password`, and `database-url` with that password in it."""
    os.umask(0o077)
    values = Environment(environment)
    _keep(folder / "secret-key", values.secret("SECRET_KEY"))
    password = _keep(folder / "database-password", values.secret("POSTGRES_PASSWORD"))
    # PostgreSQL takes the password when it makes its folder, and never again: who gives another one later has to
    # change it there too.
    replace_text(
        folder / "database-url", f"postgres://{DATABASE}:{quote(password, safe='')}@{DATABASE_HOST}:5432/{DATABASE}\n"
    )


def _keep(path: Path, given: str) -> str:
    if given:
        replace_text(path, given + "\n")
    return kept_secret(path)


if __name__ == "__main__":
    write_secrets(Path(sys.argv[1]), os.environ)
