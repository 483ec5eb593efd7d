"""Raw connections to a site, for what HTTP libraries do not do: stall, trickle, or stop reading."""

from __future__ import annotations

import socket
from types import TracebackType

ANSWER_SECONDS = 120  # the longest wait for an answer, on a busy machine
BOUNDARY = "frontier"


def request_head(path: str, *, method: str = "POST", **headers: str) -> bytes:
    """Returns the head of a request. The names of the headers have `_` in place of `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def upload_head(path: str, **headers: str) -> bytes:
    return request_head(path, Content_Type=f"multipart/form-data; boundary={BOUNDARY}", **headers)


def upload_body(content: bytes) -> bytes:
    return upload_start() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def upload_start() -> bytes:
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n'
    return part.encode()


def in_chunks(body: bytes) -> bytes:
    """Returns the body as a single chunk and the end of chunks."""
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


class RawConnection:
    """One TCP connection to a server on this machine, as a context manager."""

    def __init__(self, port: int, *, receive_buffer: int = 0, source: str = "127.0.0.1") -> None:
        self._socket = socket.socket()
        self._socket.settimeout(ANSWER_SECONDS)
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.bind((source, 0))
        self._socket.connect(("127.0.0.1", port))

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def set_timeout(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._socket.close()

    def send(self, *parts: bytes) -> None:
        self._socket.sendall(b"".join(parts))

    def receive(self, size: int = 2**16) -> bytes:
        return self._socket.recv(size)

    def receive_until_closed(self) -> bytes:
        """Returns all that the server sends until it closes the connection."""
        received = b""
        while part := self.receive():
            received += part
        return received

    def receive_response(self) -> tuple[int, bytes]:
        """Returns the status and the body of one response with a Content-Length."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._some()
        head, _, body = received.partition(b"\r\n\r\n")
        status, *headers = head.lower().split(b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in headers if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self._some()
        return int(status.split()[1]), body

    def _some(self) -> bytes:
        part = self.receive()
        if not part:
            raise ConnectionError("the server closed the connection before its response was complete")
        return part
