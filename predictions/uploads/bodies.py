"""Reads the body of a request up to a limit."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from predictions.exceptions import RequestRejected

CHUNK_BYTES = 2**16


def require_uncompressed(request: HttpRequest) -> None:
    """Raises `RequestRejected` `unsupported-media-type` for a compressed body."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        message = f"The body of the request is compressed ({encoding[:20]}). Please send it without Content-Encoding."
        raise RequestRejected("unsupported-media-type", message, status=415)


def read_body(request: HttpRequest, max_bytes: int) -> bytes:
    """Returns the whole body of a request. Never holds much more than `max_bytes` in memory.

    Raises `RequestRejected`: `too-large`, without reading anything if Content-Length exceeds the limit; `incomplete`
    for a body that ends early; `malformed` for an invalid Content-Length.
    """
    length = _declared_length(request)
    if length > max_bytes:
        raise _too_large(max_bytes)
    body = _read(request, max_bytes)
    if len(body) < length:
        raise _incomplete()
    return body


def _declared_length(request: HttpRequest) -> int:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not (declared.isascii() and declared.isdecimal() and len(declared) < 20):
        raise RequestRejected("malformed", "The Content-Length of the request is not a valid length.")
    return int(declared)


def _read(stream: Any, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        while size <= max_bytes and (chunk := stream.read(CHUNK_BYTES)):
            chunks.append(chunk)
            size += len(chunk)
    except OSError as error:  # the connection is closed, or a chunk is malformed
        raise _incomplete() from error
    return b"".join(chunks)


def _too_large(max_bytes: int) -> RequestRejected:
    message = f"The request is larger than the limit of {max_bytes / 1024:.0f} KB."
    return RequestRejected("too-large", message, status=413)


def _incomplete() -> RequestRejected:
    return RequestRejected("incomplete", "The body of the request ends early.")
