"""A database and a queue for each site that a test starts, on the servers that the tests use.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name the servers. Without them, each site has its own anyway.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis

REDIS_DATABASES = 16  # of a server with default settings


def redis_databases() -> range:
    """Returns the numbers of the Redis databases that this process may empty.

    The processes of pytest-xdist share a server, but no database. Tests without a site use the first one.
    """
    index = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(REDIS_DATABASES)[index :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]


_numbers = itertools.cycle(redis_databases()[1:])


@cache
def own_servers(data_dir: Path) -> dict[str, str]:
    """Returns the settings for a site with this data folder: none where no server is named."""
    found = {}
    if url := os.environ.get("DATABASE_URL"):
        found["DATABASE_URL"] = _own_database(url, f"site_{hashlib.sha256(bytes(data_dir)).hexdigest()[:16]}")
    if url := os.environ.get("REDIS_URL"):
        found["REDIS_URL"] = urlsplit(url)._replace(path=f"/{next(_numbers)}").geturl()
        with redis.Redis.from_url(found["REDIS_URL"]) as server:
            server.flushdb()
    return found


def _own_database(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return urlsplit(url)._replace(path=f"/{name}").geturl()
