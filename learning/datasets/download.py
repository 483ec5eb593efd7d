"""A large file that can be fetched in parts: whose connection broke goes on where it did (RFC 9110, 13 and 14).

Django's `FileResponse` knows no ranges. What there is for it (django-ranged-response) was left in 2017, and WhiteNoise,
which serves the static files, knows neither `If-Range` nor a part of one byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe, quote_etag

# One part from somewhere. No file is so large that its size had more digits.
_RANGE = re.compile(r"bytes=[ \t]*(?P<first>[0-9]{0,30})-(?P<last>[0-9]{0,30})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """Bytes of a file: so many, from there on."""

    start: int
    length: int


class NotSatisfiable(Exception):
    """None of the bytes that were asked for are in the file."""


def requested_part(header: str, size: int) -> Part | None:
    """What a `Range` header asks for of a file of that size. Raises `NotSatisfiable`.

    `None` where it is to be ignored, and the whole file to be sent: it makes no sense, is about something else than
    bytes, or asks for several parts at once, which nobody needs to go on with a download.
    """
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match["first"], match["last"]
    if not first:  # the end of the file, so many bytes
        if not last:
            return None
        length = min(int(last), size)
        if not length:
            raise NotSatisfiable
        return Part(size - length, length)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise NotSatisfiable
    return Part(start, end - start + 1)


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
    """Answers GET and HEAD with a file of `size` bytes, or with the part of it that is asked for. Closes the file.

    `etag` is another one for other bytes: in quotes it is what the parts are known by that belong together.
    """
    headers = {
        "ETag": quote_etag(etag),
        "Last-Modified": http_date(modified.timestamp()),
        "Accept-Ranges": "bytes",
        "Content-Type": content_type,
        "Content-Disposition": content_disposition_header(True, file_name) or "attachment",
    }
    plain = HttpResponse(headers=headers)
    answer = get_conditional_response(request, headers["ETag"], int(modified.timestamp()), plain)
    part = None
    if answer is plain and request.method == "GET" and _is_the_same(request, headers):
        try:
            part = requested_part(request.headers.get("Range", ""), size)
        except NotSatisfiable:
            text = f"The file has {size} bytes.\n"
            content_range = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
            answer = HttpResponse(text, status=416, headers=content_range, content_type="text/plain; charset=utf-8")
    if answer is not plain or request.method == "HEAD":
        file.close()
        if answer is plain:
            answer["Content-Length"] = str(size)
        assert answer is not None  # noqa: S101 - it is what was given, or what came instead
        return answer
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
    part = part or Part(0, size)
    headers["Content-Length"] = str(part.length)
    return _Stream(_Slice(file, part), status=206 if "Content-Range" in headers else 200, headers=headers)


def _is_the_same(request: HttpRequest, headers: dict[str, str]) -> bool:
    """Whether `If-Range`, where there is one, means the file as it is now."""
    condition = request.headers.get("If-Range", "").strip()
    if not condition:
        return True
    if condition.startswith(('"', "W/")):
        return condition == headers["ETag"]  # a weak one (`W/`) never is
    moment = parse_http_date_safe(condition)
    return moment is not None and http_date(moment) == headers["Last-Modified"]


class _Slice:
    """A part of a file, as a file."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        file.seek(part.start)
        self._file = file
        self._left = part.length

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        self._file.close()


class _Stream(FileResponse):
    """With larger blocks than Django's 4 kB, each of which goes through the middlewares and into the server."""

    block_size = 2**18

    def set_headers(self, filelike: object) -> None:
        """All of them are there."""
