"""File operations that leave a consistent state if the process or the machine dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeGuard

_DISK_FULL = (errno.EDQUOT, errno.EFBIG, errno.ENOSPC)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Waits until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_text(path: Path, text: str) -> None:
    """Writes `text` to `path` atomically: a reader finds either the whole old text or the whole new one."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        draft.write_text(text, encoding="utf-8")
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync(path.parent)


@contextlib.contextmanager
def exclusive(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Waits for an exclusive lock on the file `path`, and holds it in the block. It ends with the process.

    Args:
        waiting: called if another process holds the lock.
    """
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Raises `OSError` if a library in the block reports a full disk by an error of its own."""
    try:
        yield
    except Exception as error:
        for number in _DISK_FULL:
            if os.strerror(number) in str(error) and not is_disk_full(error):
                raise OSError(number, os.strerror(number)) from error
        raise


def is_disk_full(error: BaseException) -> TypeGuard[OSError]:
    """Whether an error says that the disk is full, or that the user may not write more."""
    return isinstance(error, OSError) and error.errno in _DISK_FULL
