"""A whole site while its queue hangs, its database is away, or its disk is full."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from django.db import connection

from devtools.load import cut
from devtools.running import RunningSite, eventually
from devtools.services import ServerNotInstalled, postgresql

# Before time-outs were set, requests took half a minute while the queue hung.
HANGING_SECONDS = 10


def _post(site: RunningSite, path: str, **options: object) -> requests.Response:
    return requests.post(site.url + path, timeout=60, **options)  # type: ignore[arg-type]


def _upload(site: RunningSite, path: str, number: int) -> requests.Response:
    return _post(site, path, files={"file": ("photo.jpg", cut(number), "image/jpeg")})


def _assert_unavailable(site: RunningSite, number: int) -> None:
    """Checks the response to an upload by each way."""
    response = _upload(site, "/api/predict", number)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5"), response.text
    assert response.json()["code"].endswith("-unavailable")
    response = _upload(site, "/predict", number + 1)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5"), response.text
    assert response.json() == {"success": False, "prediction": None, "score": None}
    response = _upload(site, "/", number + 2)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5"), response.text
    assert "is unavailable. Please try again" in response.text


def _is_answered(site: RunningSite, number: int) -> bool:
    response = _upload(site, "/api/predict", number)
    return response.status_code == 200 and response.json()["success"] is True


def test_everything_answers_while_the_queue_hangs(data_dir: Path) -> None:
    with RunningSite(data_dir) as site:
        if not site.pids("valkey-server"):
            pytest.skip("REDIS_URL names a queue server, so the site has none to suspend")
        workers = [psutil.Process(pid) for pid in site.pids("rqworker")]
        for worker in workers:
            worker.suspend()
        accepted = site.predict(cut(0), Prefer="respond-async").json()["id"]
        (server,) = (psutil.Process(pid) for pid in site.pids("valkey-server"))
        server.suspend()
        for worker in workers:
            worker.resume()
        try:
            started = time.monotonic()
            _assert_unavailable(site, 1)
            assert site.get("/healthz").status_code == 200
            assert site.get("/readyz").json()["queue"] == "unreachable (TimeoutError)"
            assert "queue_up 0.0" in site.get("/metrics").text
            assert site.get(f"/predictions/{accepted}/").status_code == 200
            assert time.monotonic() - started < 6 * HANGING_SECONDS
        finally:
            server.resume()
        eventually(lambda: _is_answered(site, 9), "an answer")
        eventually(lambda: site.get(f"/api/predictions/{accepted}").json()["success"], "the earlier answer")


def test_database_that_is_away(data_dir: Path) -> None:
    try:
        with postgresql() as database, RunningSite(data_dir, DATABASE_URL=database.url) as site:
            assert _is_answered(site, 0)
            process = psutil.Process(database.pid)
            process.send_signal(signal.SIGINT)
            process.wait(60)
            _assert_unavailable(site, 1)
            assert _post(site, "/feedback", data={"report": "wrong"}).status_code == 503
            assert site.get("/admin/login/").status_code == 200
            assert site.get("/readyz").json()["database"] == "unreachable (OperationalError)"
            assert "Traceback" not in (data_dir / "log" / "web.log").read_text()
    except ServerNotInstalled as error:
        pytest.skip(str(error))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if sys.platform != "linux" or mount is None or os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounting = subprocess.run([mount, "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True)
    if mounting.returncode:
        pytest.skip(f"cannot mount a small file system: {mounting.stderr.decode()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fills(disk: Path, filler: Path) -> bool:
    """Fills a disk, and returns whether that was possible: the site may write between the two steps."""
    with filler.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return False
    return True


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL is on another disk")
def test_full_disk(data_dir: Path, small_disk: Path) -> None:
    folder = small_disk / "data"
    folder.mkdir()
    (folder / "models").symlink_to(data_dir / "models")
    with RunningSite(folder, STATIC_DIR=str(data_dir / "static")) as site:
        assert _is_answered(site, 0)
        filler = small_disk / "filler"
        eventually(lambda: _fills(small_disk, filler), "a full disk")
        _assert_unavailable(site, 1)
        for number in range(50):
            assert _upload(site, "/api/predict", 10 + number).status_code == 503
            assert _post(site, "/feedback", data={"report": "x" * 100_000}).status_code == 503
        assert site.get("/readyz").json()["storage"] != "ok"
        assert site.get("/").status_code == 200
        filler.unlink()
        eventually(lambda: _is_answered(site, 100), "an answer")
        assert "Traceback" not in site.output
        assert (folder / "log" / "web.log").read_text().count("Traceback") < 10
