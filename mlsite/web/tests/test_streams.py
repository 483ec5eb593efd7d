import asyncio
from typing import Any

import pytest
from pytest_django import Settings

from mlsite.web.streams import BodyStream
from mlsite.web.tests.sending_client import SendingClient
from predictions.exceptions import RequestRejected


async def _received(pieces: list[bytes], *, pause: float) -> bytes:
    protocol: Any = SendingClient(pieces, pause=pause)
    stream, received = BodyStream(protocol, sum(map(len, pieces))), b""
    while piece := await stream.read():
        received += piece
    return received


def test_body_that_comes_fast_enough_may_pause_often(settings: Settings) -> None:
    settings.CLIENT_STALL_SECONDS = 1
    pieces = [bytes(100_000)] * 8
    assert asyncio.run(_received(pieces, pause=0.2)) == b"".join(pieces)


@pytest.mark.parametrize("sent_at_once", [1, 10_000_000])
def test_gives_up_a_client_that_trickles(settings: Settings, sent_at_once: int) -> None:
    """What a client has sent fast does not allow it to trickle later."""
    settings.CLIENT_STALL_SECONDS = 1
    pieces = [bytes(sent_at_once), *[b"x"] * 100]
    with pytest.raises(RequestRejected) as rejected:
        asyncio.run(_received(pieces, pause=0.05))
    assert rejected.value.status == 408
