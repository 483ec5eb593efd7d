import asyncio
import logging
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from mlsite.web import bodies
from mlsite.web.bodies import Body, BodyStore
from mlsite.web.streams import BodyStream
from mlsite.web.tests.sending_client import SendingClient
from predictions.exceptions import RequestRejected


def _stream(content: bytes) -> BodyStream:
    protocol: Any = SendingClient([content])
    return BodyStream(protocol, len(content))


async def _on_disk(store: BodyStore, content: bytes, client: str = "192.0.2.1") -> Body:
    return await store.receive_on_disk(_stream(content), client)


async def _rejection(store: BodyStore, content: bytes, client: str = "192.0.2.1") -> RequestRejected:
    with pytest.raises(RequestRejected) as rejected:
        await _on_disk(store, content, client)
    return rejected.value


@pytest.fixture
def thousand_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves room for 1,000 bytes on the disk."""
    monkeypatch.setattr(bodies, "DISK_BYTES", 1000)


@pytest.mark.usefixtures("thousand_bytes")
def test_one_client_takes_half_of_the_disk_space_at_most() -> None:
    async def receive() -> None:
        store = BodyStore()
        first = await _on_disk(store, bytes(500))
        rejection = await _rejection(store, b"x")
        assert (rejection.status, rejection.code) == (429, "too-many-waiting")
        assert rejection.retry_after
        other = await _on_disk(store, bytes(500), client="198.51.100.9")
        first.close()
        other.close()
        again = await _on_disk(store, b"again")
        assert again.read() == b"again"
        again.close()

    asyncio.run(receive())


@pytest.mark.usefixtures("thousand_bytes")
def test_rejects_bodies_beyond_the_disk_space() -> None:
    async def receive() -> None:
        store = BodyStore()
        kept = [await _on_disk(store, bytes(400), client) for client in ("192.0.2.1", "198.51.100.9")]
        rejection = await _rejection(store, bytes(300), client="203.0.113.5")
        assert (rejection.status, rejection.code) == (503, "busy")
        for body in kept:
            body.close()

    asyncio.run(receive())


def _assert_storage_unavailable(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, bodies.__name__):
        rejection = asyncio.run(_rejected_by_new_store())
    assert (rejection.status, rejection.code) == (503, "storage-unavailable")
    assert "Cannot store the body of a request" in caplog.text


async def _rejected_by_new_store() -> RequestRejected:
    return await _rejection(BodyStore(), b"content")


def test_missing_folder_is_unavailable_storage(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DATA_DIR = tmp_path / "missing"
    _assert_storage_unavailable(caplog)


def test_full_disk_is_unavailable_storage(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Writing to `/dev/full` fails, and closing the file fails again."""
    monkeypatch.setattr(bodies, "TemporaryFile", lambda **_options: BufferedRandom(FileIO("/dev/full", "r+")))
    _assert_storage_unavailable(caplog)


def test_closing_a_small_body_frees_its_memory() -> None:
    async def receive() -> None:
        body = await BodyStore().receive_in_memory(_stream(b"small"))
        assert body and body.read() == b"small"
        body.close()
        with pytest.raises(ValueError, match="closed file"):
            body.read()

    asyncio.run(receive())


@pytest.mark.parametrize("size", [bodies.SMALL_BODY_BYTES, bodies.SMALL_BODY_BYTES + 1])
def test_only_small_bodies_stay_in_memory(size: int) -> None:
    body = asyncio.run(_in_memory(bytes(size)))
    assert (body is not None) == (size == bodies.SMALL_BODY_BYTES)


async def _in_memory(content: bytes) -> Body | None:
    return await BodyStore().receive_in_memory(_stream(content))
