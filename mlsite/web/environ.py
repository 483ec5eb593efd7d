"""Translates the requests of Granian's RSGI interface into WSGI environments."""

from __future__ import annotations

import sys
from typing import Any

from granian.rsgi import Scope

_SAME_FOR_ALL = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
_WITHOUT_PREFIX = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
_SEPARATORS = {"HTTP_COOKIE": "; "}
_UNREADABLE = "?"


def wsgi_environ(scope: Scope) -> dict[str, Any]:
    """Returns the environment of a request, without its `wsgi.input`."""
    server_name, _, server_port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        **_SAME_FOR_ALL,
        "REQUEST_METHOD": scope.method,
        # WSGI wants the bytes of both as Latin-1.
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode().decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server_name,
        "SERVER_PORT": server_port,
        "REMOTE_ADDR": scope.client.rpartition(":")[0].strip("[]"),
        "HTTP_HOST": scope.authority or "",  # unless there is a `Host` header
        "wsgi.url_scheme": scope.scheme,
    }
    seen = set()
    for header, value in scope.headers.items():
        if "_" in header:  # it would look like the header with hyphens, such as the one that a proxy sets
            continue
        name = header.upper().replace("-", "_")
        if name not in _WITHOUT_PREFIX:
            name = f"HTTP_{name}"
        if name in seen:
            value = environ[name] + _SEPARATORS.get(name, ",") + value
        seen.add(name)
        environ[name] = value
    # The server leaves out values that are not ASCII. A client that has sent a key must not be taken for one without.
    if "idempotency-key" in scope.headers:
        environ.setdefault("HTTP_IDEMPOTENCY_KEY", _UNREADABLE)
    return environ
