"""Reads the form that legacy clients post to `/feedback`, within limits."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import multipart
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, QueryDict

from predictions.exceptions import RequestRejected
from predictions.uploads import bodies

FIELD = "report"
BODY_MAX_BYTES = 2**18
MAX_FIELDS = 100  # of a multipart form; Django limits the fields of an urlencoded one
MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"

# Some charsets can express half of a surrogate pair, which no database stores.
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_report(request: HttpRequest) -> str:
    """Returns the text of the form field `report`; empty for an empty body and for a form without the field.

    Other text fields are ignored, as in the original service.

    Raises `RequestRejected`: `too-large`, `incomplete`, `malformed`, `too-many-fields`, `several-reports`,
    `file-not-accepted`, `unsupported-media-type`.
    """
    body = bodies.read_body(request, BODY_MAX_BYTES)
    if not body:
        return ""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise _unsupported("The body of the request is compressed.")
    if request.content_type == MULTIPART:
        reports = _multipart_reports(request, body)
    elif request.content_type == URLENCODED:
        reports = _urlencoded_reports(request, body)
    else:
        raise _unsupported("The body of the request is not a form.")
    if len(reports) > 1:
        message = f"The form has {len(reports)} fields “{FIELD}”. Send one report at a time."
        raise RequestRejected("several-reports", message)
    return _SURROGATES.sub("\ufffd", reports[0]) if reports else ""


def _urlencoded_reports(request: HttpRequest, body: bytes) -> list[str]:
    if (request.encoding or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise RequestRejected("malformed", f"A form of type {URLENCODED} must be in UTF-8.")
    try:
        return QueryDict(body, encoding="utf-8").getlist(FIELD)
    except TooManyFieldsSent as error:
        raise _too_many_fields() from error


def _multipart_reports(request: HttpRequest, body: bytes) -> list[str]:
    boundary = (request.content_params or {}).get("boundary", "")
    # No part is larger than the body, so none is spooled to disk.
    parser = multipart.MultipartParser(
        io.BytesIO(body), boundary, part_limit=MAX_FIELDS, spool_limit=BODY_MAX_BYTES, memory_limit=BODY_MAX_BYTES
    )
    try:
        parts = parser.parts()
        if any(part.filename for part in parts):
            message = f"Files are not accepted here. Send the report as text in the form field “{FIELD}”."
            raise RequestRejected("file-not-accepted", message)
        return [_decoded(part, request.encoding or "utf-8") for part in parts if part.name.strip() == FIELD]
    except multipart.ParserLimitReached as error:
        raise _too_many_fields() from error
    except (multipart.MultipartError, ValueError) as error:  # ValueError: an impossible boundary, or broken base64
        raise RequestRejected("malformed", "The body of the request is not a complete multipart form.") from error


def _decoded(part: Any, charset: str) -> str:
    """Returns the text of a field. Raises `ValueError` for broken base64."""
    is_base64 = part.headers.get("Content-Transfer-Encoding", "").strip().lower() == "base64"
    content: bytes = base64.b64decode(part.raw) if is_base64 else part.raw
    return content.decode(charset, "replace")


def _too_many_fields() -> RequestRejected:
    return RequestRejected("too-many-fields", "The form has more fields than are accepted.")


def _unsupported(problem: str) -> RequestRejected:
    message = f"{problem} Send the form field “{FIELD}” as {URLENCODED} or {MULTIPART}."
    return RequestRejected("unsupported-media-type", message, status=415)
