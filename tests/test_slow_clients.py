"""Clients that stall, trickle, do not read or go away take neither threads nor memory from others."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import pytest
import requests

from devtools.raw_http import (
    RawConnection,
    in_chunks,
    request_head,
    upload_body,
    upload_head,
    upload_start,
)
from devtools.running import RunningSite, eventually, folder_with_model
from worker.inference.repository import Repository

STALL_SECONDS = 10
MANY = 340  # more than the web server has threads
MEGABYTE = 2**20
PAGES = ("/healthz", "/readyz", "/metrics", "/", "/static/", "/api/models")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: Repository) -> Iterator[RunningSite]:
    folder = folder_with_model(tmp_path_factory.mktemp("site"), models.root)
    with RunningSite(folder, CLIENT_STALL_SECONDS=str(STALL_SECONDS), PREDICT_WAIT_SECONDS="300") as running:
        yield running


@pytest.fixture
def connections(site: RunningSite) -> Iterator[list[RawConnection]]:
    """A list of connections that are closed after the test."""
    opened: list[RawConnection] = []
    yield opened
    for connection in opened:
        connection.close()


@pytest.fixture(scope="module")
def noise() -> bytes:
    """A picture of 13 MB."""
    pixels = np.random.default_rng(1).integers(0, 256, (2100, 2100, 3), dtype=np.uint8)
    file = BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def _web_process(site: RunningSite) -> psutil.Process:
    """The process that serves: its parent only watches it."""
    return max(map(psutil.Process, site.pids("granian")), key=lambda process: process.memory_info().rss)


def _megabytes(site: RunningSite) -> int:
    return int(_web_process(site).memory_info().rss / MEGABYTE)


def _assert_serves(site: RunningSite, coffee: bytes) -> None:
    for path in PAGES:
        assert site.get(path).status_code in {200, 404}, path
    assert site.predict(coffee).status_code == 200


def test_serves_beside_stalled_uploads(site: RunningSite, connections: list[RawConnection], coffee: bytes) -> None:
    for _ in range(MANY):
        connection = RawConnection(site.port)
        connections.append(connection)
        connection.send(upload_head("/api/predict", Content_Length="100000"), upload_start())
    _assert_serves(site, coffee)


def _assert_timeout(path: str, response: bytes) -> None:
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ") and b"\r\nconnection: close" in head.lower()
    if path.startswith("/api/"):
        assert json.loads(body)["code"] == "request-timeout"
    elif path == "/predict":
        assert json.loads(body) == {"success": False, "prediction": None, "score": None}
    else:
        assert b"<!doctype html>" in body and b"took too long" in body


def test_stalled_upload_ends_with_408(site: RunningSite, connections: list[RawConnection]) -> None:
    kinds = [{"Content_Length": "1000"}, {"Content_Length": "5000000"}, {"Transfer_Encoding": "chunked"}]
    paths = ["/api/predict", "/api/feedback", "/predict", "/feedback", "/"]
    for path in paths:
        for headers in kinds:
            connection = RawConnection(site.port)
            connections.append(connection)
            connection.send(upload_head(path, **headers), b"5\r\nhello\r\n")
    for number, connection in enumerate(connections):
        _assert_timeout(paths[number // len(kinds)], connection.receive_until_closed())


@pytest.mark.parametrize("sent_at_once", [0, 4 * MEGABYTE])
def test_trickled_upload_ends_with_408(site: RunningSite, sent_at_once: int) -> None:
    with RawConnection(site.port) as connection:
        connection.send(upload_head("/api/predict", Content_Length="5000000"), bytes(sent_at_once))
        connection.set_timeout(0.2)
        deadline = time.monotonic() + 12 * STALL_SECONDS
        received = b""
        while not received and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                connection.send(b"x")
                received = connection.receive()
    assert received.startswith(b"HTTP/1.1 408 ")


def test_serves_beside_clients_that_do_not_read(
    site: RunningSite, connections: list[RawConnection], coffee: bytes, noise: bytes
) -> None:
    path = f"/predictions/{site.predict(noise).json()['id']}/picture"
    shown = site.get(path).content
    assert len(shown) > MEGABYTE  # more than the kernel buffers for a connection
    for _ in range(360):
        connection = RawConnection(site.port, receive_buffer=4096)
        connections.append(connection)
        connection.send(request_head(path, method="GET"))
    _assert_serves(site, coffee)
    assert site.get(path).content == shown
    web = _web_process(site)

    def connected() -> int:
        clients = [one for one in web.net_connections("tcp") if one.laddr.port == site.port]  # others: PostgreSQL
        return sum(one.status == psutil.CONN_ESTABLISHED for one in clients)

    eventually(lambda: connected() < 100, "the end of connections that are not read", 12 * STALL_SECONDS)


def test_serves_a_small_picture_as_it_was_sent(site: RunningSite, chelsea: bytes) -> None:
    assert site.get(f"/predictions/{site.predict(chelsea).json()['id']}/picture").content == chelsea


def test_stalled_large_uploads_take_little_memory(
    site: RunningSite, connections: list[RawConnection], coffee: bytes
) -> None:
    before = _megabytes(site)
    content = os.urandom(19 * MEGABYTE)
    for number in range(100):
        connection = RawConnection(site.port, source=f"127.0.0.{2 + number % 2}")
        connections.append(connection)
        with contextlib.suppress(OSError):  # rejected, because the disk space for bodies is used up
            connection.send(upload_head("/api/predict", Content_Length=str(20 * MEGABYTE)), upload_start(), content)
    assert _megabytes(site) - before < 300
    _assert_serves(site, coffee)


def test_large_uploads_that_end_together_take_little_memory(
    site: RunningSite, connections: list[RawConnection]
) -> None:
    before = _megabytes(site)
    body = upload_body(os.urandom(10 * MEGABYTE))
    for _ in range(60):
        connection = RawConnection(site.port)
        connections.append(connection)
        connection.send(upload_head("/api/predict", Content_Length=str(len(body))), body[:-1])
    for connection in connections:
        connection.send(body[-1:])
    peak = 0
    for connection in connections:
        assert connection.receive_response()[0] == 415
        peak = max(peak, _megabytes(site))
    assert peak - before < 300


def test_aborted_uploads_leave_nothing_in_memory(site: RunningSite, coffee: bytes) -> None:
    before = _megabytes(site)
    content = os.urandom(5 * MEGABYTE)
    for _ in range(200):
        with RawConnection(site.port) as connection:
            connection.send(upload_head("/api/predict", Content_Length=str(6 * MEGABYTE)), upload_start(), content)
    _assert_serves(site, coffee)
    assert _megabytes(site) - before < 200


@pytest.mark.parametrize("path", ["/api/predict", "/predict", "/"])
def test_accepts_chunked_picture(site: RunningSite, path: str, noise: bytes) -> None:
    with RawConnection(site.port) as connection:
        connection.send(upload_head(path, Transfer_Encoding="chunked"), in_chunks(upload_body(noise)))
        assert connection.receive_response()[0] == (303 if path == "/" else 200)


def test_accepts_chunked_feedback(site: RunningSite) -> None:
    report = iter([b"report=", b"no+coffee+in+chunks"])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert requests.post(f"{site.url}/feedback", data=report, headers=headers, timeout=60).status_code == 200
    assert "no coffee in chunks" in Path(site.data_dir / "feedback").read_text()


def test_answers_body_with_unreadable_content_type(site: RunningSite) -> None:
    content_type = "multipart/form-data; boundary=x; name*=nope''y"
    with RawConnection(site.port) as connection:
        head = request_head("/api/predict", Content_Type=content_type, Transfer_Encoding="chunked")
        connection.send(head, in_chunks(b"hello"))
        status, body = connection.receive_response()
    assert (status, json.loads(body)["code"]) == (400, "no-file")


@pytest.mark.parametrize("size", ["zz", "F" * 30, "-5"])
def test_rejects_malformed_chunks(site: RunningSite, size: str) -> None:
    with RawConnection(site.port) as connection:
        connection.send(upload_head("/api/predict", Transfer_Encoding="chunked"), f"{size}\r\nhello\r\n".encode())
        assert connection.receive_until_closed().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("path", "status"), [("/api/predict", 413), ("/predict", 400), ("/", 413), ("/feedback", 413)])
@pytest.mark.parametrize("expect", [{}, {"Expect": "100-continue"}], ids=["", "expect"])
def test_rejects_announced_size_at_once(site: RunningSite, path: str, status: int, expect: dict[str, str]) -> None:
    """No byte of the body is sent, and the answer comes all the same."""
    with RawConnection(site.port) as connection:
        connection.send(upload_head(path, Content_Length="3000000000", **expect))
        assert connection.receive_response()[0] == status


def test_receives_expected_body(site: RunningSite, coffee: bytes) -> None:
    body = upload_body(coffee)
    with RawConnection(site.port) as connection:
        connection.send(upload_head("/api/predict", Content_Length=str(len(body)), Expect="100-continue"))
        assert connection.receive().startswith(b"HTTP/1.1 100 ")
        connection.send(body)
        assert connection.receive_response()[0] == 200


def test_rejected_upload_reads_its_answer_and_the_connection_goes_on(site: RunningSite, coffee: bytes) -> None:
    too_large, good = upload_body(bytes(30 * MEGABYTE)), upload_body(coffee)
    with RawConnection(site.port) as connection:
        for body, status in ((too_large, 413), (good, 200), (too_large, 413)):
            connection.send(upload_head("/api/predict", Content_Length=str(len(body))), body)
            assert connection.receive_response()[0] == status
        connection.send(upload_head("/api/predict", Transfer_Encoding="chunked"), in_chunks(too_large))
        assert connection.receive_response()[0] == 413


def test_answers_pipelined_requests_in_order(site: RunningSite, coffee: bytes) -> None:
    upload = upload_head("/api/predict", Content_Length=str(len(upload_body(coffee)))) + upload_body(coffee)
    with RawConnection(site.port) as connection:
        connection.send(upload, request_head("/healthz", method="GET", Content_Length="5"), b"hello", upload)
        received = b""
        while received.count(b"HTTP/1.1 200 ") < 3:
            received += connection.receive()
    assert received.index(b'"espresso"') < received.index(b'{"status": "ok"}') < received.rindex(b'"espresso"')


def test_client_that_has_gone_holds_no_wait_slot(
    site: RunningSite, connections: list[RawConnection], chelsea: bytes
) -> None:
    [worker] = map(psutil.Process, site.pids("rqworker predictions"))
    worker.suspend()
    try:
        for number in range(5):
            body = upload_body(chelsea + bytes([number]))  # a picture without an answer
            connection = RawConnection(site.port)
            connections.append(connection)
            connection.send(upload_head("/api/predict", Content_Length=str(len(body))), body)
        eventually(lambda: _waiting(site) == 5, "the requests wait")
        for connection in connections:
            connection.close()
        eventually(lambda: _waiting(site) == 0, "the end of the wait")
    finally:
        worker.resume()


def _waiting(site: RunningSite) -> int:
    found = re.search(r"^mlsite_waiting_requests (\S+)", site.get("/metrics").text, re.MULTILINE)
    assert found
    return int(float(found[1]))


def test_unfinished_uploads_leave_no_files_after_kill(site: RunningSite, connections: list[RawConnection]) -> None:
    def files() -> set[str]:
        return {str(path) for path in site.data_dir.rglob("*") if "log" not in path.parts}

    before = files()
    for _ in range(5):
        connection = RawConnection(site.port)
        connections.append(connection)
        connection.send(upload_head("/api/predict", Content_Length=str(6 * MEGABYTE)), bytes(5 * MEGABYTE))
    web = _web_process(site)
    eventually(lambda: _bodies_on_disk(web), "a body on disk")
    web.kill()
    web.wait(60)
    eventually(site.is_ready, "a new web process")
    assert {path for path in files() - before if not path.endswith(("-wal", "-shm"))} == set()


def _bodies_on_disk(process: psutil.Process) -> int:
    """Counts open files without a name, whose link the kernel calls deleted."""
    found = 0
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += "(deleted)" in str(link.readlink())
    return found
