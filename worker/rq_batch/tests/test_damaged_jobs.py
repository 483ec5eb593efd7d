"""A damaged job ends alone. It stops no worker, and no worker meets it again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from rq import Callback, Queue
from rq.executions import Execution
from rq.job import Job
from rq.utils import now

from worker.rq_batch import BatchWorker, recovery
from worker.rq_batch.liveness import live_workers
from worker.rq_batch.recovery import Recovery
from worker.rq_batch.tests.batch_jobs import HERE, calls

Damage = Callable[[Any, Job], object]


def _fields(**fields: Any) -> Damage:
    return lambda server, job: server.hset(job.key, mapping=fields)


def _data(*parts: object) -> Damage:
    return _fields(data=zlib.compress(json.dumps(parts).encode()))


def _as_text(server: Any, job: Job) -> None:
    server.delete(job.key)
    server.set(job.key, "no hash")


def _as_list(server: Any, job: Job) -> None:
    server.delete(job.key)
    server.rpush(job.key, "no", "hash")


FUNCTION = f"{HERE}.numbers"
UNREADABLE = {
    "unknown status": _fields(status="levitating"),
    "binary status": _fields(status=b"\xff\xfe"),
    "garbled created_at": _fields(created_at="once"),
    "garbled enqueued_at": _fields(enqueued_at="1 January"),
    "garbled timeout": _fields(timeout="soon"),
    "garbled result_ttl": _fields(result_ttl="long"),
    "garbled retries_left": _fields(retries_left="many"),
    "garbled deaths": _fields(deaths="some"),
    "garbled dependency_ids": _fields(dependency_ids="[["),
    "binary field name": lambda server, job: server.hset(job.key, b"\xff", b"1"),
    "no data": lambda server, job: server.hdel(job.key, "data"),
    "text": _as_text,
    "list": _as_list,
}
FAILS = {
    "truncated data": lambda server, job: server.hset(job.key, "data", server.hget(job.key, "data")[:10]),
    "no JSON": _fields(data=zlib.compress(b"\x80\x04N.")),
    "empty data": _fields(data=b""),
    "another shape": _data("only one part"),
    "no list": _fields(data=zlib.compress(b"5")),
    "unknown module": _data("no.such.module", None, [1], {}),
    "unknown function": _data(f"{HERE}.no_such_function", None, [1], {}),
    "no function": _data(None, None, [1], {}),
    "number of a function": _data(5, None, [1], {}),
    "too many arguments": _data(FUNCTION, None, [1, 2, 3], {}),
    "no arguments": _data(FUNCTION, None, [], {}),
    "arguments that are no list": _data(FUNCTION, None, 5, {}),
    "unknown keyword": _data(FUNCTION, None, [1], {"nothing": 1}),
    "keywords that are no mapping": _data(FUNCTION, None, [1], [1]),
    "instance": _data(FUNCTION, "instance", [1], {}),
    "unknown callback": _fields(success_callback_name="no.such.callback"),
}
RUNS = {
    "meta that is no mapping": _fields(meta=b"[1]"),
    "meta that is no JSON": _fields(meta=b"\x80"),
    "no created_at": lambda server, job: server.hdel(job.key, "created_at", "enqueued_at"),
    "huge timeout": _fields(timeout=10**30),
    "negative timeout": _fields(timeout=-5),
    "huge result_ttl": _fields(result_ttl=10**30),
    "status of another kind": _fields(status="scheduled"),
}


def _run(queue: Queue, damage: Damage) -> tuple[Job, list[str]]:
    """Works off a damaged job between two others, which must finish. Returns it, and the unreadable jobs."""
    jobs = [queue.enqueue(FUNCTION, number, on_failure=Callback(f"{HERE}.failed")) for number in range(3)]
    damage(queue.connection, jobs[1])
    unreadable: list[str] = []
    worker = BatchWorker([queue])
    worker.handle_unreadable = unreadable.append  # type: ignore[method-assign,assignment]
    worker.work(burst=True)
    assert [jobs[0].get_status().value, jobs[2].get_status().value] == ["finished", "finished"]
    assert queue.job_ids == queue.intermediate_queue.get_job_ids() == []
    assert queue.started_job_registry.get_job_and_execution_ids() == []
    calls.clear()
    BatchWorker([queue]).work(burst=True)
    assert calls == [], "nothing is left to run"
    return jobs[1], unreadable


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable_job_is_reported_and_deleted(damage: Damage, queue: Queue) -> None:
    job, unreadable = _run(queue, damage)
    assert unreadable == [job.id]
    assert not queue.connection.exists(job.key)


@pytest.mark.parametrize("damage", FAILS.values(), ids=FAILS.keys())
def test_job_that_cannot_run_fails(damage: Damage, queue: Queue) -> None:
    job, unreadable = _run(queue, damage)
    assert (job.get_status().value, unreadable) == ("failed", [])
    assert queue.connection.get("batches:failed") == b"1", "its failure callback was called"


@pytest.mark.parametrize("damage", RUNS.values(), ids=RUNS.keys())
def test_other_damage_does_not_keep_a_job_from_running(damage: Damage, queue: Queue) -> None:
    job, unreadable = _run(queue, damage)
    assert (job.get_status().value, unreadable) == ("finished", [])


def test_id_that_is_no_text_is_removed(queue: Queue) -> None:
    def add(server: Any, job: Job) -> None:
        server.lpush(queue.key, b"\xff\xfe")
        server.hset(b"rq:job:\xff\xfe", "data", "anything")
        server.rpush(queue.intermediate_queue_key, b"\xfd")

    _job, unreadable = _run(queue, add)
    assert sorted(unreadable) == ["\\xfd", "\\xff\\xfe"]


@pytest.mark.parametrize("kind", ["handle_unreadable", "handle_dropped", "context"])
def test_hook_that_raises_stops_no_worker(kind: str, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> object:
        raise RuntimeError("this hook always does")

    monkeypatch.setattr(BatchWorker, kind, broken)
    unreadable, cancelled, good = [queue.enqueue(FUNCTION, number) for number in range(3)]
    queue.connection.hset(unreadable.key, "status", "levitating")
    queue.connection.hset(cancelled.key, "status", "canceled")
    BatchWorker([queue]).work(burst=True)
    assert (good.get_status().value, queue.job_ids) == ("finished", [])


# --- Jobs of dead workers ---


def _orphan(queue: Queue) -> Job:
    """Leaves a job as a killed worker does."""
    job = queue.enqueue(f"{HERE}.plain_act", "return", 1)
    dead = BatchWorker([queue])
    taken = dead._bookkeeper.take(queue, 1)
    dead._bookkeeper.start(queue, taken, seconds=[60], worker_ttl=60)
    return job


@pytest.mark.parametrize(
    "damage", [UNREADABLE["unknown status"], UNREADABLE["garbled deaths"], _as_text], ids=["status", "deaths", "text"]
)
def test_damaged_job_of_a_dead_worker_leaves_the_registry(damage: Damage, queue: Queue) -> None:
    job, other = _orphan(queue), _orphan(queue)
    damage(queue.connection, job)
    BatchWorker([queue]).work(burst=True)
    assert other.get_status().value == "finished"
    assert queue.started_job_registry.get_job_and_execution_ids() == []
    assert queue.job_ids == []


def test_damaged_job_that_killed_its_workers_is_reported(queue: Queue) -> None:
    job = _orphan(queue)
    queue.connection.hset(job.key, mapping={"deaths": 2, "timeout": "soon"})
    unreadable: list[str] = []
    worker = BatchWorker([queue])
    worker.handle_unreadable = unreadable.append  # type: ignore[method-assign,assignment]
    worker.run_maintenance_tasks()
    assert unreadable == [job.id]
    assert queue.started_job_registry.get_job_and_execution_ids() == []


@pytest.mark.parametrize("entry", [b"no execution", b"\xff:\xfe", b"a:b:c:d", b":", b""])
def test_entry_that_names_no_execution_is_removed(entry: bytes, queue: Queue) -> None:
    queue.connection.zadd(queue.started_job_registry.key, {entry: now().timestamp() + 60})
    job = queue.enqueue(FUNCTION, 1)
    BatchWorker([queue]).work(burst=True)
    assert job.get_status().value == "finished"
    assert queue.connection.zcard(queue.started_job_registry.key) == 0


def test_damaged_execution_counts_as_that_of_a_dead_worker(queue: Queue) -> None:
    job = _orphan(queue)
    ((job_id, execution_id),) = queue.started_job_registry.get_job_and_execution_ids()
    key = Execution(execution_id, job_id, queue.connection).key
    queue.connection.delete(key)
    queue.connection.set(key, "no hash")
    BatchWorker([queue]).work(burst=True)
    assert job.get_status().value == "finished"


def test_job_that_its_own_worker_could_not_record_runs_again(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    record = BatchWorker._record

    def broken(*_arguments: object) -> object:
        monkeypatch.setattr(BatchWorker, "_record", record)
        raise RuntimeError("an error of the worker, not of the job")

    monkeypatch.setattr(BatchWorker, "_record", broken)
    job = queue.enqueue(FUNCTION, 3)
    BatchWorker([queue]).work(burst=True)
    assert (job.get_status().value, calls) == ("finished", [[3], [3]])


def test_error_of_one_step_does_not_stop_the_maintenance(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("an error in this step")

    monkeypatch.setattr(Recovery, "take_back_started_jobs", broken)
    monkeypatch.setattr(recovery, "UNSTARTED_SECONDS", 0)
    job = queue.enqueue(FUNCTION, 1)
    queue.connection.lmove(queue.key, queue.intermediate_queue_key)
    BatchWorker([queue]).work(burst=True)
    assert job.get_status().value == "finished"


# --- Entries of workers ---


@pytest.mark.parametrize(
    "fields",
    [
        {"pid": "many"},
        {"pid": "9" * 30},
        {"last_heartbeat": "just now"},
        {"rate": "nan"},
        {"rate": "-1"},
        {"rate": "fast"},
        {b"\xff": b"\xff"},
    ],
    ids=str,
)
def test_damaged_entry_of_a_worker_does_not_hide_the_others(fields: dict[Any, Any], queue: Queue) -> None:
    damaged, good = BatchWorker([queue], name="damaged"), BatchWorker([queue], name="good")
    for worker in (damaged, good):
        worker.register_birth()
    queue.connection.hset(damaged.key, mapping=fields)
    assert [worker.name for worker in live_workers(queue)] == ["good"]


def test_entry_that_is_no_hash_does_not_hide_the_others(queue: Queue) -> None:
    BatchWorker([queue], name="good").register_birth()
    queue.connection.sadd("rq:workers:batches", "rq:worker:text", b"rq:worker:\xff")
    queue.connection.set("rq:worker:text", "no hash")
    assert [worker.name for worker in live_workers(queue)] == ["good"]


def test_unknown_state_of_a_worker_is_passed_on(queue: Queue) -> None:
    worker = BatchWorker([queue])
    worker.register_birth()
    queue.connection.hset(worker.key, "state", "levitating")
    assert [found.state for found in live_workers(queue)] == ["levitating"]
