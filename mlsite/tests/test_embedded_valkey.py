"""Whether another queue server uses a data folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devtools.running import eventually
from mlsite import embedded_valkey


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(embedded_valkey.command(tmp_path), stdout=subprocess.DEVNULL)
    eventually(lambda: embedded_valkey.running_server(tmp_path), "the start of the server")
    yield process
    process.kill()
    process.wait(20)


def test_finds_no_server(tmp_path: Path) -> None:
    assert embedded_valkey.running_server(tmp_path) is None


def test_names_the_process_of_a_running_server(tmp_path: Path, server: subprocess.Popen[bytes]) -> None:
    assert embedded_valkey.running_server(tmp_path) == f"process {server.pid}"


def test_names_a_server_that_does_not_answer(tmp_path: Path, server: subprocess.Popen[bytes]) -> None:
    psutil.Process(server.pid).suspend()
    assert embedded_valkey.running_server(tmp_path) == f"process {server.pid}"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_finds_a_server_with_another_socket(tmp_path: Path, server: subprocess.Popen[bytes]) -> None:
    eventually(embedded_valkey.socket_path(tmp_path).exists, "the socket")
    embedded_valkey.socket_path(tmp_path).unlink()
    assert embedded_valkey.running_server(tmp_path) == f"process {server.pid}"


def test_socket_of_a_killed_server_is_no_server(tmp_path: Path, server: subprocess.Popen[bytes]) -> None:
    eventually(embedded_valkey.socket_path(tmp_path).exists, "the socket")
    server.kill()
    server.wait(20)
    assert embedded_valkey.socket_path(tmp_path).exists()
    assert embedded_valkey.running_server(tmp_path) is None
