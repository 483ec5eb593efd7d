"""Serves a large file in parts, so that a client can resume a broken download (RFC 9110, sections 13 and 14).

Django's `FileResponse` does not support ranges. django-ranged-response, which adds them, is unmaintained since 2017.
WhiteNoise, which serves the static files, supports neither `If-Range` nor a range of one byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe, quote_etag

# A single range. No file size has more than 30 digits.
_RANGE = re.compile(r"bytes=[ \t]*(?P<first>[0-9]{0,30})-(?P<last>[0-9]{0,30})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True)
class ByteRange:
    """`length` bytes of a file, from `start` on."""

    start: int
    length: int


class RangeNotSatisfiable(Exception):
    """The file has none of the requested bytes."""


def requested_range(header: str, size: int) -> ByteRange | None:
    """Parses a `Range` header for a file of `size` bytes. Raises `RangeNotSatisfiable`.

    Returns `None` if the server should ignore the header and send the whole file: the header is malformed, does not
    count in bytes, or asks for several ranges, which resuming a download does not need.
    """
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match["first"], match["last"]
    if not first:  # the last bytes of the file
        if not last:
            return None
        length = min(int(last), size)
        if not length:
            raise RangeNotSatisfiable
        return ByteRange(size - length, length)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable
    return ByteRange(start, end - start + 1)


def resumable(
    request: HttpRequest,
    file: IO[bytes],
    *,
    size: int,
    etag: str,
    modified: datetime,
    file_name: str,
    content_type: str,
) -> HttpResponseBase:
    """Responds to GET and HEAD with a file of `size` bytes, or with the requested range of it. Closes the file.

    `etag`, without quotes, must differ for different bytes: clients use it to join the ranges of one file.
    """
    headers = {
        "ETag": quote_etag(etag),
        "Last-Modified": http_date(modified.timestamp()),
        "Accept-Ranges": "bytes",
        "Content-Type": content_type,
        "Content-Disposition": content_disposition_header(True, file_name) or "attachment",
    }
    head = HttpResponse(headers=headers | {"Content-Length": str(size)})
    response = get_conditional_response(request, headers["ETag"], int(modified.timestamp()), head)
    assert response is not None  # noqa: S101 - it returns `head` unless a condition of the request fails
    part = None
    if response is head and request.method == "GET" and _is_current(request, headers):
        try:
            part = requested_range(request.headers.get("Range", ""), size)
        except RangeNotSatisfiable:
            response = _not_satisfiable(size)
    if response is not head or request.method == "HEAD":
        file.close()
        return response
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
    part = part or ByteRange(0, size)
    headers["Content-Length"] = str(part.length)
    return _Stream(_Slice(file, part), status=206 if "Content-Range" in headers else 200, headers=headers)


def _not_satisfiable(size: int) -> HttpResponse:
    headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
    text = f"The file has {size} bytes.\n"
    return HttpResponse(text, status=416, headers=headers, content_type="text/plain; charset=utf-8")


def _is_current(request: HttpRequest, headers: dict[str, str]) -> bool:
    """Whether `If-Range` is missing or names the current file."""
    condition = request.headers.get("If-Range", "").strip()
    if not condition:
        return True
    if condition.startswith(('"', "W/")):
        return condition == headers["ETag"]  # a weak tag (`W/`) never matches
    modified_at = parse_http_date_safe(condition)
    return modified_at is not None and http_date(modified_at) == headers["Last-Modified"]


class _Slice:
    """A range of a file, with the interface of a file. `name` and `tell` let the web server send it by itself."""

    def __init__(self, file: IO[bytes], part: ByteRange) -> None:
        file.seek(part.start)
        self.name = getattr(file, "name", "")
        self.tell = file.tell
        self._file = file
        self._left = part.length

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        self._file.close()


class _Stream(FileResponse):
    """Streams in larger blocks than Django's 4 kB: each block passes through the middlewares and the server."""

    block_size = 2**18

    def set_headers(self, filelike: object) -> None:
        """Does nothing: `resumable` has set all headers."""
