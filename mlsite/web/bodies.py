"""Keeps received bodies until their request has been answered, within bounds for all of them together."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO

from django.conf import settings

from mlsite.web.budgets import ByteBudget, Reservation
from mlsite.web.streams import BodyStream
from predictions.exceptions import RequestRejected

SMALL_BODY_BYTES = 2**18
MEMORY_BYTES = 2**25
DISK_BYTES = 2**31
FORM_BYTES = 2**20  # what a form may have beside the picture in it
RETRY_AFTER_SECONDS = 5


class Body:
    """A complete body, to be used as `wsgi.input`."""

    def __init__(self, file: IO[bytes], size: int, resources: ExitStack) -> None:
        self.size = size
        self.read = file.read
        self.readline = file.readline
        self._resources = resources

    def close(self) -> None:
        """Gives the memory and the disk space of the body to others. Closing it again changes nothing."""
        self._resources.close()


class BodyStore:
    """Receives bodies. Small ones stay in memory, as long as there is room for them; others go to disk.

    A body on disk is a temporary file without a name, which vanishes with the process. The view reads it into memory,
    so only some of these bodies are passed on at the same time.
    """

    def __init__(self) -> None:
        self._small_bodies = ByteBudget(MEMORY_BYTES)
        self._disk = ByteBudget(DISK_BYTES)
        self._processed = ByteBudget(MEMORY_BYTES)

    async def receive(self, stream: BodyStream) -> Body:
        """Returns the whole body. Raises `RequestRejected`."""
        length = stream.length
        with ExitStack() as resources:  # released here if the body does not arrive
            if length is not None and length <= SMALL_BODY_BYTES and self._small_bodies.try_reserve(length):
                resources.callback(self._small_bodies.release, length)
                content = await stream.read_all()
                return Body(BytesIO(content), length, resources.pop_all())
            if length is not None and length > max_bytes():
                raise _too_large()
            file = resources.enter_context(TemporaryFile(dir=settings.DATA_DIR))
            size = await self._write(stream, file, resources)
            resources.callback(self._processed.release, await self._processed.reserve(size))
            return Body(file, size, resources.pop_all())

    async def _write(self, stream: BodyStream, file: IO[bytes], resources: ExitStack) -> int:
        """Writes the body to the file, and returns its size. The disk may be slow, so a thread writes."""
        loop, size = asyncio.get_running_loop(), 0
        space = Reservation(self._disk)
        resources.callback(space.release)
        try:
            while chunk := await stream.read():
                size += len(chunk)
                if size > max_bytes():
                    raise _too_large()
                if not space.try_add(len(chunk)):
                    raise _no_space()
                await loop.run_in_executor(None, file.write, chunk)
            await loop.run_in_executor(None, file.seek, 0)
        except OSError:
            raise _no_space() from None
        return size


def max_bytes() -> int:
    """Returns the size of the largest body that is received. Views may accept less."""
    largest: int = max(settings.UPLOAD_MAX_BYTES, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    return largest + FORM_BYTES


def _too_large() -> RequestRejected:
    limit = settings.UPLOAD_MAX_BYTES / 2**20
    return RequestRejected("too-large", f"The request is larger than the limit of {limit:.3g} MB.", status=413)


def _no_space() -> RequestRejected:
    message = f"Too many uploads are under way. Please try again in {RETRY_AFTER_SECONDS} s."
    return RequestRejected("busy", message, status=503, retry_after=RETRY_AFTER_SECONDS)
