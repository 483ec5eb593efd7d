"""`manage.py up`: what it starts, restarts and stops, and its error messages."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis
import requests

from devtools.running import ROOT, RunningSite, eventually, runs
from mlsite import embedded_valkey


def _up(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    values = {name: value for name, value in os.environ.items() if name != "SECRET_KEY"}
    command = [sys.executable, "manage.py", "up", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**values, **environment}, capture_output=True, text=True, timeout=120)


def test_starts_everything_once_and_stops_it(data_dir: Path) -> None:
    with RunningSite(data_dir, WORKERS="2") as site:
        assert f"Web page   {site.url}/" in site.output
        for path in ("/", "/api/docs", "/api/schema", "/admin/login/", "/healthz", "/readyz"):
            assert site.get(path).status_code == 200, path
        assert len(site.pids("rqworker")) == 2
        assert set(site.get("/readyz").json().values()) == {"ok"}

        second = _up("--port", str(site.port + 1), DATA_DIR=str(data_dir))
        assert second.returncode != 0
        assert f"Another `manage.py up` is running on {data_dir}: process {site.process.pid}." in second.stderr
        assert site.stop() == 0
        assert "Stopped." in site.output


def test_only_the_owner_can_read_what_it_writes(data_dir: Path) -> None:
    database = {"db.sqlite3", "db.sqlite3-wal"} if "DATABASE_URL" not in os.environ else set()
    if database:
        (data_dir / "db.sqlite3").touch(mode=0o644)  # from an earlier release
    with RunningSite(data_dir) as site:
        if database:
            assert f"Permissions: {data_dir / 'db.sqlite3'} is for its owner only now" in site.output
        picture = (ROOT / "docs" / "images" / "coffee.jpg").read_bytes()
        answer = requests.post(f"{site.url}/api/predict", files={"file": ("coffee.jpg", picture)}, timeout=60)
        assert answer.status_code == 200
        written = [path for path in data_dir.rglob("*") if path.is_file() and "static" not in path.parts]
        written = [path for path in written if not path.is_relative_to(data_dir / "models")]
        assert {path.name for path in written} >= database | {"secret-key", "identity-key"}
        assert any(path.suffix == ".jpeg" for path in written)
        assert {path: mode for path in written if (mode := path.stat().st_mode & 0o077)} == {}


def test_dead_worker_is_reported_and_restarted(data_dir: Path) -> None:
    with RunningSite(data_dir) as site:
        (pid,) = site.pids("rqworker")
        os.kill(pid, signal.SIGKILL)
        missing = eventually(lambda: _not_ready(site), "a 503 from /readyz", seconds=10)
        assert missing["worker"] == "no live worker has a model loaded"
        eventually(site.is_ready, "readiness")
        assert "worker-1 ended (terminated by SIGKILL) and restarts" in site.output


def _not_ready(site: RunningSite) -> dict[str, str] | None:
    answer = site.get("/readyz")
    return answer.json() if answer.status_code == 503 else None


def test_worker_measures_its_precision_once(data_dir: Path) -> None:
    picture = (ROOT / "docs" / "images" / "coffee.jpg").read_bytes()
    with RunningSite(data_dir, PRECISION="auto") as site:
        (pid,) = site.pids("rqworker")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: site.logs().count("INFO predictions.classifiers: Loading ") == 2, "the second start")
        assert site.predict(picture).json()["prediction"] == "espresso"
        assert site.logs().count("INFO predictions.precision: Measuring ") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
@pytest.mark.parametrize("killed", [["manage.py up"], ["supervisord"], ["supervisord", "manage.py up"]], ids=str)
def test_killed_parent_leaves_nothing_running(data_dir: Path, killed: list[str]) -> None:
    site = RunningSite(data_dir)
    site.start()
    everything = site.processes()
    with redis.Redis.from_url(site.queue_url) as queue:
        queue.set("written", "just before")
    for part in killed:
        (site.process.kill() if part == "manage.py up" else os.kill(site.pids(part)[0], signal.SIGKILL))
    site.process.wait(60)
    _gone, alive = psutil.wait_procs(everything, timeout=60)
    for process in alive:
        process.kill()
    assert not alive
    with RunningSite(data_dir) as again, redis.Redis.from_url(again.queue_url) as queue:
        assert queue.get("written") == b"just before"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_next_start_waits_for_the_processes_of_a_killed_one(data_dir: Path) -> None:
    with RunningSite(data_dir) as site:
        (worker,) = map(psutil.Process, site.pids("rqworker"))
        worker.suspend()  # it stops last but for the queue server
        site.process.kill()
        site.process.wait(60)
        again = RunningSite(data_dir)
        ready = again.launch()
        try:
            eventually(lambda: "Waiting until its processes have stopped" in again.output, "the message")
            assert not ready.is_set()
            worker.resume()
            eventually(ready.is_set, "the start", seconds=120)
            assert again.is_ready(), again.output
        finally:
            again.stop()


def test_refuses_a_data_folder_that_another_queue_server_uses(data_dir: Path) -> None:
    if "REDIS_URL" in os.environ:
        pytest.skip("REDIS_URL names a queue server, so the site starts none")
    server = subprocess.Popen(embedded_valkey.command(data_dir), stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: embedded_valkey.running_server(data_dir), "the start of the server")
        result = _up("--no-web", DATA_DIR=str(data_dir))
    finally:
        server.terminate()
        server.wait(20)
    assert result.returncode != 0
    assert f"Another queue server uses {data_dir}: process {server.pid}." in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_killed_web_server_leaves_no_child_behind(data_dir: Path) -> None:
    """A child of the web server would hold the port, and keep running after everything else stopped."""
    with RunningSite(data_dir) as site:
        server, child = map(psutil.Process, site.pids("granian"))
        assert child.ppid() == server.pid
        server.kill()
        child.wait(60)
        eventually(lambda: len(site.pids("granian")) == 2, "the restart")
        eventually(site.is_ready, "readiness")


def test_no_web_starts_only_workers(data_dir: Path) -> None:
    with RunningSite(data_dir, "--no-web") as site:
        assert len(site.pids("rqworker")) == 1
        assert not site.pids("granian")


def test_example_settings_start_a_site(data_dir: Path) -> None:
    with RunningSite(data_dir, ENV_FILE=str(ROOT / ".env.example"), SECRET_KEY="") as site:
        answer = site.get("/", allow_redirects=False)
        assert answer.status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_while_it_prepares_ends_with_one_line(tmp_path: Path, number: signal.Signals) -> None:
    site = RunningSite(tmp_path / "data")  # without a model, which takes long to build
    site.launch()
    eventually(lambda: "weights: " in site.output, "the installation", seconds=120)
    everything = site.processes()
    assert site.stop(number) == 130
    assert "Traceback" not in site.output
    assert "Stopped before everything was prepared." in site.output
    assert not any(runs(process) for process in everything)


def test_taken_port_is_reported_in_one_line(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = _up("--port", str(port), DATA_DIR=str(data_dir))
    assert result.returncode != 0
    assert (
        result.stdout + result.stderr
        == f"CommandError: Port {port} is taken. Choose another: make run PORT={port + 1}\n"
    )


def test_unwritable_data_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = _up(DATA_DIR=str(tmp_path / "file" / "var"))
    assert result.returncode != 0
    assert result.stderr == f"manage.py: DATA_DIR: cannot create the folder {tmp_path}/file/var: Not a directory.\n"


def test_invalid_setting_is_reported_in_one_line(data_dir: Path) -> None:
    result = _up(DATA_DIR=str(data_dir), ENGINE="torch")
    assert result.returncode != 0
    assert result.stderr == "manage.py: ENGINE: 'torch' is none of: openvino, tensorflow.\n"
    assert _up("--port", "http", DATA_DIR=str(data_dir)).returncode != 0
    assert _up(DATA_DIR=str(data_dir), WORKERS="many").returncode != 0


def test_uses_the_named_redis_and_database(data_dir: Path, tmp_path: Path) -> None:
    """With REDIS_URL and DATABASE_URL set, no queue server is started and no SQLite file is made."""
    elsewhere = tmp_path / "elsewhere"
    server = subprocess.Popen(embedded_valkey.command(elsewhere), stdout=subprocess.DEVNULL)
    try:
        with RunningSite(
            data_dir,
            REDIS_URL=f"unix://{embedded_valkey.socket_path(elsewhere)}",
            DATABASE_URL=f"sqlite:///{tmp_path}/other.sqlite3",
        ) as site:
            assert not site.pids("valkey-server")
            assert requests.get(f"{site.url}/readyz", timeout=60).status_code == 200
            assert not (data_dir / "db.sqlite3").exists()
            assert (tmp_path / "other.sqlite3").exists()
        assert server.poll() is None
    finally:
        server.terminate()
        server.wait(10)
