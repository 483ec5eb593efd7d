"""Lets the kernel end connections whose clients do not read."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

_OWN_FILES = Path("/proc/self/fd")


def limit_unread(seconds: float) -> None:
    """Ends later connections on which sent bytes are neither read nor confirmed for `seconds`.

    Granian has no such limit. The kernel has one, which accepted connections inherit from the listening socket. On
    other systems than Linux this does nothing.
    """
    for listening in _listening_sockets():
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def _listening_sockets() -> Iterator[socket.socket]:
    """Yields the TCP sockets of this process that listen. Granian does not tell which they are."""
    for name in os.listdir(_OWN_FILES) if _OWN_FILES.is_dir() else ():
        with contextlib.suppress(OSError):  # closed meanwhile
            if not stat.S_ISSOCK(os.stat(_OWN_FILES / name).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as found:
                is_tcp = found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM
                if is_tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield found
