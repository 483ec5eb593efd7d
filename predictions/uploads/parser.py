"""Reading a multipart upload without taking in more than is allowed."""

from __future__ import annotations

import html
from io import BytesIO
from typing import Any

import multipart
from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest, UnreadablePostError
from django.utils.datastructures import MultiValueDict

from predictions.exceptions import RequestRejected

# Past the limit a body is still read, and thrown away, so that the sender gets to read why it was refused: a
# connection closed in the middle of an upload shows as "connection reset" in a browser. This much of it, then enough.
DISCARD_AT_MOST = 2**30  # bytes

CHUNK_BYTES = 2**18
MAX_PARTS = 1000
FORM = "multipart/form-data"


def is_form(request: HttpRequest) -> bool:
    return request.content_type == FORM


def files(request: HttpRequest) -> MultiValueDict[str, UploadedFile[bytes]]:
    """The files of a form, in memory, by the names of their fields; of anything else than a form, none.

    Up to `UPLOAD_MAX_BYTES` are kept for all of them together. A file that crosses the limit comes out empty but with
    its true `size`, for the door (`images.admit`) to refuse. Other fields are passed over.

    Django's own reader needs four times as long, a tenth of what a request costs. It serves the forms without pictures.

    Raises `RequestRejected` `malformed` for a body that is no form, or one of more parts than any form has.
    """
    found: MultiValueDict[str, UploadedFile[bytes]] = MultiValueDict()
    if not is_form(request):
        return found
    boundary = (request.content_params or {}).get("boundary", "")
    try:
        with multipart.PushMultipartParser(boundary, max_segment_count=MAX_PARTS) as parser:
            _read(request, parser, found)
    except (multipart.MultipartError, UnreadablePostError, ValueError) as error:  # ValueError: an impossible boundary
        # The parser holds its error, and the error's traceback holds the parser and every buffer: a reference cycle,
        # which would keep the upload in memory until the garbage collector next runs.
        error.__traceback__ = None
        raise RequestRejected("malformed", "The body of the request is not a whole multipart form.") from error
    return found


def _read(request: HttpRequest, parser: Any, found: MultiValueDict[str, UploadedFile[bytes]]) -> None:
    segment: Any = None
    kept: list[bytes] = []
    request_bytes = 0
    while not parser.closed:
        for part in parser.parse(request.read(CHUNK_BYTES)):
            if part is None:  # the end of a segment
                if name := _file_name(segment):
                    found.appendlist(segment.name, _uploaded(segment, name, b"".join(kept)))
            elif isinstance(part, multipart.MultipartSegment):
                segment, kept = part, []
            else:
                request_bytes += len(part)
                if request_bytes > DISCARD_AT_MOST:
                    raise RequestRejected("too-large", "The request is larger than what is accepted.", status=413)
                if request_bytes > settings.UPLOAD_MAX_BYTES:
                    kept.clear()
                elif segment.filename:
                    kept.append(bytes(part))


def _file_name(segment: Any) -> str:
    """The file's name without folders and without characters that do not show; empty for a field that is no file."""
    name = html.unescape(segment.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(character for character in name if character.isprintable())
    return "" if name in {".", ".."} else name


def _uploaded(segment: Any, name: str, content: bytes) -> UploadedFile[bytes]:
    return InMemoryUploadedFile(BytesIO(content), segment.name, name, segment.content_type, segment.size, None)


def discard_rest(body: Any) -> None:
    """Reads what nobody has read of a request's body, within bounds, and throws it away."""
    left = DISCARD_AT_MOST
    while left > 0 and (chunk := body.read(CHUNK_BYTES)):
        left -= len(chunk)


class DiscardingUploadHandler(FileUploadHandler):
    """Discards the files of the forms that Django reads: none of these forms has a file field.

    Pictures do not pass here; `files` reads them.
    """

    def __init__(self, request: HttpRequest | None = None) -> None:
        # The request holds its handlers. A handler that holds the request completes a reference cycle, which would
        # keep the whole form in memory until the garbage collector next runs.
        super().__init__()

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.request_bytes = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.request_bytes += len(raw_data)
        if self.request_bytes > DISCARD_AT_MOST:
            raise StopUpload(connection_reset=True)

    def file_complete(self, file_size: int) -> UploadedFile[bytes]:
        """Adds the file without its content to the request, so that a form can reject it."""
        return InMemoryUploadedFile(
            BytesIO(), self.field_name, self.file_name, self.content_type, file_size, self.charset
        )
