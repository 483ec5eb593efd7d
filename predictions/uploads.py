"""Reading a multipart upload without taking in more than is allowed."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload

# Past the limit a body is still read, and thrown away, so that the sender gets to read why it was refused: a
# connection closed in the middle of an upload shows as "connection reset" in a browser. This much of it, then enough.
DISCARD_AT_MOST = 2**30  # bytes


class BoundedUploadHandler(FileUploadHandler):
    """Holds a request's files in memory, up to `UPLOAD_MAX_BYTES` for all of them together.

    A file that crosses the limit comes out empty but with its true `size`, for the door (`images.admit`) to refuse.
    """

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.request_bytes = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.kept: list[bytes] = []

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.request_bytes += len(raw_data)
        if self.request_bytes <= settings.UPLOAD_MAX_BYTES:
            self.kept.append(raw_data)
        elif self.request_bytes <= DISCARD_AT_MOST:
            self.kept.clear()
        else:
            raise StopUpload(connection_reset=True)

    def file_complete(self, file_size: int) -> UploadedFile[bytes]:
        return InMemoryUploadedFile(
            file=BytesIO(b"".join(self.kept)),
            field_name=self.field_name,
            name=self.file_name,
            content_type=self.content_type,
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )
