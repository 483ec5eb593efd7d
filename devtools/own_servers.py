"""What a site that a test starts uses of the servers that `TEST_DATABASE_URL` and `TEST_REDIS_URL` name.

Each data folder gets a database and a queue of its own, as it has them without those servers.
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

# Number 0 is for the tests without a site. Sixteen is what every Redis has.
_numbers = itertools.cycle(range(1, 16))


@cache
def own_servers(data_dir: Path) -> dict[str, str]:
    """Settings for a site with this data folder, the same each time; none of those for which no server is named."""
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
