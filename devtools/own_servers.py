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

# Redis has sixteen databases. Tests without a site use number 0.
_numbers = itertools.cycle(range(1, 16))


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
