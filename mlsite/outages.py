"""Recognizes exceptions that say that a part of the site is unavailable: the database, the queue or the disk.

Such a request may succeed when it is sent again. Its response is 503 with `Retry-After`, not 500: see `mlsite.errors`.
"""

from __future__ import annotations

import errno

import redis
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError

from predictions.exceptions import RequestRejected, unavailable

# A full or read-only disk, a device that fails, and a process that has no file descriptors left.
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE})

# SQLite reports a query that is wrong, such as one for a missing table, by the same exception as a locked database.
_SQLITE_DEFECT = "SQLITE_ERROR"

# PostgreSQL reports a standby server, and a session that may only read, by an exception for defects.
_POSTGRESQL_READ_ONLY = "25006"


def outage(error: BaseException | None) -> RequestRejected | None:
    """Returns the rejection of a request that failed with this exception, or `None` if the exception is a defect."""
    if isinstance(error, DatabaseError):
        return unavailable("database") if _is_database_outage(error) else None
    if isinstance(error, redis.RedisError):
        return unavailable("queue")
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return unavailable("storage")
    return None


def _is_database_outage(error: DatabaseError) -> bool:
    if isinstance(error, OperationalError | InterfaceError):
        return getattr(error.__cause__, "sqlite_errorname", "") != _SQLITE_DEFECT
    return getattr(error.__cause__, "sqlstate", "") == _POSTGRESQL_READ_ONLY
