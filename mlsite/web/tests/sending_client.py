"""A client of the web server, as Granian presents it to the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable


class SendingClient:
    """Sends a body in pieces, with a pause of so many seconds between them."""

    def __init__(self, pieces: Iterable[bytes], *, pause: float = 0) -> None:
        self._pieces = list(pieces)
        self._pause = pause

    async def __call__(self) -> bytes:
        return b"".join(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, piece in enumerate(self._pieces):
            if number:
                await asyncio.sleep(self._pause)
            yield piece
        yield b""

    def response_bytes(self, _status: int, _headers: list[tuple[str, str]], _body: bytes) -> None:
        """Ignores the response."""
