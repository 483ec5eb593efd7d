"""Reads environment variables more strictly than django-environ: a wrong value is an error that names the variable."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

YES = ("true", "yes", "on", "1")
NO = ("false", "no", "off", "0")


class Env(environ.FileAwareEnv):  # type: ignore[misc] # it has no type hints
    """Reads `NAME`, or the file that `NAME_FILE` names.

    An empty variable counts as not set, and a leading `$` does not refer to another variable. A value that cannot be
    used raises `ImproperlyConfigured`, with the name of the variable and the reason.
    """

    ENVIRON = FileAwareMapping(cache=False)

    def get_value(self, var: str, cast: Any = None, default: Any = None, parse_default: bool = False) -> Any:
        file = self.ENVIRON.env.get(f"{var}_FILE")
        if file and self.ENVIRON.env.get(var):
            raise ImproperlyConfigured(f"{var} and {var}_FILE are both set: keep one of them.")
        try:
            value = self.ENVIRON.get(var, "").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{var}_FILE: cannot read {file}: {error}") from error
        if file and not value:
            raise ImproperlyConfigured(f"{var}_FILE: {file} is empty.")
        try:
            return self.parse_value(value, cast) if value else default
        except ValueError as error:
            raise ImproperlyConfigured(f"{var}: {error}.") from error


def one_of(*choices: str) -> Callable[[str], str]:
    """Returns a cast that accepts only these words."""

    def cast(value: str) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is none of: {', '.join(choices)}")
        return value

    return cast


def boolean(value: str) -> bool:
    """Parses a word of `YES` or `NO`. django-environ would take every other word for false."""
    return one_of(*YES, *NO)(value.lower()) in YES


def number(kind: type[int] | type[float], minimum: float, maximum: float) -> Callable[[str], float]:
    """Returns a cast to a number from `minimum` to `maximum`, both included."""

    def cast(value: str) -> float:
        number = kind(value)
        if not minimum <= number <= maximum:
            raise ValueError(f"{value} is out of range: {minimum} to {maximum}")
        return number

    return cast


def networks(value: str) -> list[IPv4Network | IPv6Network]:
    """Parses addresses and networks that are separated by commas, such as `10.0.0.1, 192.168.0.0/16, fd00::/8`."""
    return [ip_network(word.strip()) for word in value.split(",") if word.strip()]


def database(url: str) -> dict[str, Any]:
    """A Django database from a URL: `sqlite:////path` or `postgres://user:password@host:5432/name`."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"sqlite", "postgres", "postgresql"}:
        raise ValueError(f"the URL begins with {url.partition(':')[0]!r}: it must be sqlite:// or postgres://")
    if scheme == "sqlite" and (not rest.startswith("/") or rest in {"/", "/:memory:"}):
        # django-environ takes all of these for a database in memory, which no two processes share.
        raise ValueError("the URL names no file: sqlite:////path has four slashes")
    return dict(environ.Env.db_url_config(url))
