"""Typed readers for the environment. Every one of them fails loudly: a wrong value stops the start, with its name."""

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

YES = frozenset({"1", "true", "yes", "on"})
NO = frozenset({"0", "false", "no", "off"})


class Environment:
    """Reads settings from a mapping of environment variables.

    An empty variable counts as not set, so that `NAME=` in an `.env` file means "the default".
    All readers raise `ImproperlyConfigured` with the variable's name for a value they cannot use.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, "").strip() or default

    def secret(self, name: str, default: str = "") -> str:
        """`NAME`, or the content of the file that `NAME_FILE` names, as container secrets come."""
        path = self.text(f"{name}_FILE")
        if not path:
            return self.text(name, default)
        if self.text(name):
            raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one of them.")
        try:
            content = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE: cannot read {path}: {error}") from error
        if not content:
            raise ImproperlyConfigured(f"{name}_FILE: {path} is empty.")
        return content

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name).lower()
        if not value:
            return default
        if value in YES:
            return True
        if value in NO:
            return False
        raise ImproperlyConfigured(f"{name}={value!r} is neither yes nor no: write true or false.")

    def number(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        value = self.text(name)
        try:
            number = int(value) if value else default
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.") from error
        if not minimum <= number <= maximum:
            raise ImproperlyConfigured(f"{name}={number} is out of range: {minimum} to {maximum}.")
        return number

    def fraction(self, name: str, default: float) -> float:
        """A number from 0 to 1."""
        value = self.text(name)
        try:
            number = float(value) if value else default
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}={value!r} is not a number.") from error
        if not 0 <= number <= 1:
            raise ImproperlyConfigured(f"{name}={number:g} is out of range: 0 to 1.")
        return number

    def choice(self, name: str, default: str, choices: Iterable[str]) -> str:
        value = self.text(name, default)
        allowed = list(choices)
        if value not in allowed:
            raise ImproperlyConfigured(f"{name}={value!r} is none of: {', '.join(allowed)}.")
        return value

    def words(self, name: str, default: Iterable[str]) -> list[str]:
        """A list separated by commas."""
        value = self.text(name)
        return [word.strip() for word in value.split(",") if word.strip()] if value else list(default)

    def path(self, name: str, default: Path, *, base: Path) -> Path:
        """An absolute path; a relative value is taken from `base`, not from wherever the process was started."""
        value = self.text(name)
        return (base / Path(value).expanduser()).resolve() if value else default

    def database(self, name: str, default: str) -> dict[str, Any]:
        """A Django database from a URL: `sqlite:////path` or `postgres://user:password@host:5432/name`."""
        url = self.secret(name, default)
        scheme = url.partition(":")[0]
        if scheme not in {"sqlite", "postgres", "postgresql"}:
            raise ImproperlyConfigured(f"{name} begins with {scheme!r}: it must be sqlite:// or postgres://.")
        try:
            return dict(environ.Env.db_url_config(url))
        except (ValueError, KeyError) as error:
            raise ImproperlyConfigured(f"{name} is not a database URL: {error}") from error


def read_environment(env_file: Path) -> Environment:
    """The process's environment over the lines of `env_file`, which need not exist."""
    if env_file.is_file():
        environ.Env.read_env(env_file)  # does not overwrite what the process already has
    return Environment(os.environ)


def writable_folder(path: Path, name: str) -> Path:
    """The folder itself, made if it is not there. Raises `ImproperlyConfigured` if nothing can be written to it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{name}: cannot make the folder {path}: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"{name}: the folder {path} cannot be written to.")
    return path


def kept_secret(path: Path) -> str:
    """The secret in `path`; made up and written there, readable by its owner only, where there is none yet."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50) + "\n")
    except FileExistsError:  # the usual case: kept from an earlier start
        pass
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"SECRET_KEY is not set, and {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise ImproperlyConfigured(f"SECRET_KEY is not set, and {path} is empty: remove it.")
    return secret
