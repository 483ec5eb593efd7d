"""The body of a request while its client sends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from django.conf import settings

from predictions.exceptions import RequestRejected

if TYPE_CHECKING:
    from granian._granian import RSGIHTTPProtocol as HTTPProtocol

# A body must bring this many bytes per second. Its client may be behind by `CLIENT_STALL_SECONDS` at most, whatever it
# has sent before.
MIN_BYTES_PER_SECOND = 4096

# The rest of a rejected body is read and discarded, so that its client can read the answer: a browser shows
# "connection reset" if the connection is closed during an upload.
DISCARD_AT_MOST = 2**30  # bytes


class BodyStream:
    """Reads a body, and gives up when its client stalls.

    `length` is the announced number of bytes, or `None` if the body comes in chunks.
    """

    def __init__(self, protocol: HTTPProtocol, length: int | None) -> None:
        self._protocol = protocol
        self._chunks: AsyncIterator[bytes] | None = None
        self._patience = float(settings.CLIENT_STALL_SECONDS)  # how long to wait for the next piece
        self._received = 0
        self.length = length
        self.is_broken = False  # the client has stalled or gone, so that no more can be read

    async def read_all(self) -> bytes:
        """Returns the whole body, whose length is announced.

        The server collects it, which costs half the time of reading it in pieces. Raises `RequestRejected`.
        """
        try:
            async with asyncio.timeout(settings.CLIENT_STALL_SECONDS + (self.length or 0) / MIN_BYTES_PER_SECOND):
                return await self._protocol()
        except TimeoutError:
            raise self._stalled() from None
        except RuntimeError:
            raise self._incomplete() from None

    async def read(self) -> bytes:
        """Returns the next piece of the body, which is empty at its end. Raises `RequestRejected`."""
        if self._chunks is None:
            self._chunks = aiter(self._protocol)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(self._patience):
                chunk = await anext(self._chunks)
        except TimeoutError:
            raise self._stalled() from None
        self._received += len(chunk)
        behind = loop.time() - started - len(chunk) / MIN_BYTES_PER_SECOND
        self._patience = min(self._patience - behind, settings.CLIENT_STALL_SECONDS)
        if not chunk and not await self._is_complete():
            raise self._incomplete()
        return chunk

    async def _is_complete(self) -> bool:
        if self.length is not None:
            return self._received == self.length
        try:
            await anext(self._chunks)  # type: ignore[arg-type]
        except StopAsyncIteration:
            return True
        return False  # Granian reports the end of a broken body as two empty pieces

    async def discard(self) -> None:
        """Reads and discards the rest of the body, up to `DISCARD_AT_MOST`."""
        with contextlib.suppress(RequestRejected):
            while not self.is_broken and self._received < DISCARD_AT_MOST and await self.read():
                pass

    def _stalled(self) -> RequestRejected:
        self.is_broken = True
        return RequestRejected(
            "request-timeout", "The request took too long to arrive. Please send it again.", status=408
        )

    def _incomplete(self) -> RequestRejected:
        self.is_broken = True
        return RequestRejected("incomplete", "The body of the request ends early.")
