"""Keeps received bodies until their request has been answered, within bounds for all of them together."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO

from django.conf import settings

from mlsite.web.budgets import ByteBudget, ClientShares, Reservation
from mlsite.web.streams import BodyStream
from predictions.admission import client_share
from predictions.exceptions import RequestRejected, unavailable

logger = logging.getLogger(__name__)

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
        self._disk_shares = ClientShares(int(client_share.CLIENT_SHARE * DISK_BYTES))
        self._processed = ByteBudget(MEMORY_BYTES)

    async def receive_in_memory(self, stream: BodyStream) -> Body | None:
        """Returns the whole body, or `None` if it is not small or there is no room. Raises `RequestRejected`."""
        length = stream.length
        if length is None or length > SMALL_BODY_BYTES or not self._small_bodies.try_reserve(length):
            return None
        with ExitStack() as resources:  # released here if the body does not arrive
            resources.callback(self._small_bodies.release, length)
            file = resources.enter_context(BytesIO(await stream.read_all()))
            return Body(file, length, resources.pop_all())

    async def receive_on_disk(self, stream: BodyStream, client: str) -> Body:
        """Returns the whole body. Raises `RequestRejected`."""
        if stream.length is not None and stream.length > max_bytes():
            raise _too_large()
        try:
            with ExitStack() as resources:  # released here if the body does not arrive
                file = resources.enter_context(TemporaryFile(dir=settings.DATA_DIR))
                size = await self._write(stream, file, client, resources)
                resources.callback(self._processed.release, await self._processed.reserve(size))
                return Body(file, size, resources.pop_all())
        except OSError as error:  # also from closing the file, which writes what is left
            logger.error("Cannot store the body of a request: %s", error)  # noqa: TRY400 - the trace says no more
            raise unavailable("storage") from None

    async def _write(self, stream: BodyStream, file: IO[bytes], client: str, resources: ExitStack) -> int:
        """Writes the body to the file, and returns its size. The disk may be slow, so a thread writes."""
        loop, size = asyncio.get_running_loop(), 0
        space, share = Reservation(self._disk), Reservation(self._disk_shares.of(client))
        resources.callback(space.release)
        resources.callback(share.release)
        while chunk := await stream.read():
            size += len(chunk)
            if size > max_bytes():
                raise _too_large()
            if client and not share.try_add(len(chunk)):
                raise _no_share()
            if not space.try_add(len(chunk)):
                raise _no_space()
            await loop.run_in_executor(None, file.write, chunk)
        await loop.run_in_executor(None, file.seek, 0)
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


def _no_share() -> RequestRejected:
    message = f"Too many uploads from your address are under way. Please try again in {RETRY_AFTER_SECONDS} s."
    return RequestRejected(client_share.TOO_MANY_WAITING, message, status=429, retry_after=RETRY_AFTER_SECONDS)
