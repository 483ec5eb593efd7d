"""A batch worker leaves the same keys in Redis as RQ's own worker."""

from __future__ import annotations

import re
import time
import zlib
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from rq import Callback, Queue, Repeat, Retry
from rq.job import Dependency, Job
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker
from rq.worker.base import BaseWorker

from worker.rq_batch import BatchWorker
from worker.rq_batch.tests import batch_jobs
from worker.rq_batch.tests.batch_jobs import HERE

# Fields of a worker's entry that only a batch worker writes.
ONLY_OURS = {"host", "rate", "metrics"}
# The address of the worker's connection, which differs each time.
OF_THE_CONNECTION = {"ip_address"}

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
EXECUTION = re.compile(r"[0-9a-f]{32}")
SECONDS = {"total_working_time"}
TIMES = {"created_at", "execution_started_at", "execution_ended_at", "last_heartbeat"}


def _number(value: float) -> object:
    """Turns seconds since 1970 into seconds from now. Numbers that are about the same are equal."""
    return pytest.approx(value - time.time() if 1e9 < value < 1e12 else value, abs=5)


def _text(value: bytes) -> str:
    try:
        value = zlib.decompress(value)
    except zlib.error:
        pass
    return EXECUTION.sub("EXECUTION", TIME.sub("TIME", value.decode()))


def _fields(content: dict[bytes, bytes]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in content.items():
        name = key.decode()
        if name in SECONDS or (name in TIMES and value and b"T" not in value):
            result[name] = _number(float(value))
        elif name == "exc_string":  # tracebacks differ
            result[name] = zlib.decompress(b64decode(value)).decode().splitlines()[-1]
        elif name not in ONLY_OURS | OF_THE_CONNECTION:
            result[name] = _text(value)
    return result


def _content(connection: Any, key: bytes, kind: bytes) -> object:
    match kind:
        case b"string":
            return connection.get(key)
        case b"hash":
            return _fields(connection.hgetall(key))
        case b"list":
            return connection.lrange(key, 0, -1)
        case b"set":
            return {_text(member) for member in connection.smembers(key)}
        case b"zset":
            return {_text(member): _number(score) for member, score in connection.zrange(key, 0, -1, withscores=True)}
        case b"stream":  # newest last; their ids are times
            return [_fields(fields) for _id, fields in connection.xrange(key)]
    raise AssertionError(kind)


def _dump(connection: Any) -> dict[str, object]:
    """Returns all keys in Redis, without what differs each time."""
    return {
        _text(key): (kind := connection.type(key), _content(connection, key, kind), _number(connection.ttl(key)))
        for key in connection.keys("*")
    }


SUCCEEDED, FAILED = Callback(HERE + ".succeeded"), Callback(HERE + ".failed")
RAISES = Callback(HERE + ".raises")

Enqueue = Callable[[Queue], object]


def _job(kind: str = "return", value: object = "x", function: str = "act", **options: Any) -> Enqueue:
    return lambda queue: queue.enqueue(f"{HERE}.{function}", kind, value, job_id="one", **options)


def _two_jobs(kind: str, function: str = "act", **options: Any) -> Enqueue:
    """Enqueues a job, and one that depends on it."""

    def enqueue(queue: Queue) -> None:
        first = queue.enqueue(f"{HERE}.act", kind, 1, job_id="one", on_success=SUCCEEDED)
        dependency = Dependency([first], **options)
        queue.enqueue(f"{HERE}.{function}", "return", 2, job_id="two", depends_on=dependency)

    return enqueue


def _with_keywords(queue: Queue) -> None:
    queue.enqueue(HERE + ".plain_with_name", name="x", job_id="one")


# Kinds of jobs, each with the status in which it ends.
KINDS: dict[str, tuple[Enqueue, str]] = {
    "returns": (_job(value={"a": 1}), "finished"),
    "returns None": (_job(value=None), "finished"),
    "returns an empty string": (_job(value=""), "finished"),
    "returns what JSON cannot express": (_job("foreign"), "finished"),
    "raises": (_job("raise"), "failed"),
    "raises, is retried": (_job("raise", retry=Retry(max=2)), "failed"),
    "raises, is retried later": (_job("raise", retry=Retry(max=2, interval=50)), "scheduled"),
    "returns Retry": (_job("retry"), "failed"),
    "returns Retry for later": (_job("retry later"), "scheduled"),
    "result not kept": (_job(result_ttl=0), "gone"),
    "result kept for ever": (_job(result_ttl=-1), "finished"),
    "result kept for 7 s": (_job(result_ttl=7), "finished"),
    "failure kept for 99 s": (_job("raise", failure_ttl=99), "failed"),
    "ttl": (_job(ttl=77), "finished"),
    "ttl, result kept for ever": (_job(ttl=77, result_ttl=-1), "finished"),
    "ttl, raises": (_job("raise", ttl=77), "failed"),
    "ttl, is retried later": (_job("raise", ttl=77, retry=Retry(max=2, interval=50)), "scheduled"),
    "success callback": (_job(on_success=SUCCEEDED), "finished"),
    "success callback, result not kept": (_job(on_success=SUCCEEDED, result_ttl=0), "gone"),
    "success callback that raises": (_job(on_success=RAISES, on_failure=FAILED), "failed"),
    "success callback that raises, repeated": (_job(on_success=RAISES, repeat=Repeat(times=1)), "failed"),
    "failure callback": (_job("raise", on_failure=FAILED), "failed"),
    "failure callback that raises": (_job("raise", on_failure=RAISES), "failed"),
    "failure callback, retried": (_job("raise", on_failure=FAILED, retry=Retry(max=1)), "failed"),
    "meta and description": (_job(meta={"colour": "red"}, description="a job"), "finished"),
    "has a dependent": (_two_jobs("return"), "finished"),
    "has an ordinary dependent": (_two_jobs("return", "plain_act"), "finished"),
    "raises, has a dependent": (_two_jobs("raise"), "failed"),
    "raises, has a dependent that allows failure": (_two_jobs("raise", allow_failure=True), "failed"),
    "repeated": (_job(repeat=Repeat(times=2)), "finished"),
    "repeated later": (_job(repeat=Repeat(times=2, interval=50)), "scheduled"),
    "own time-out": (_job(job_timeout=44), "finished"),
    "no time-out": (_job(job_timeout=-1), "finished"),
    "takes too long": (_job("sleep", 20, job_timeout=1), "failed"),
    "exits": (_job("exit"), "failed"),
    "no such function": (_job(function="nothing"), "failed"),
    "ordinary": (_job(function="plain_act"), "finished"),
    "ordinary, raises": (_job("raise", function="plain_act"), "failed"),
    "ordinary, with keywords": (_with_keywords, "finished"),
}


@dataclass
class Remains:
    """What a worker leaves of its jobs."""

    statuses: dict[str, str]
    results: dict[str, tuple[object, object, bool]]
    counts: tuple[int, int]
    keys: dict[str, object]


def _run(queue: Queue, worker_class: type[BaseWorker], enqueue: Enqueue) -> Remains:
    queue.connection.flushdb()
    enqueue(queue)
    worker = worker_class([queue], name="worker", serializer=JSONSerializer)
    worker.work(burst=True)
    worker.refresh()
    found = Job.fetch_many(["one", "two"], queue.connection, JSONSerializer)
    results = {job.id: job.latest_result() for job in found if job}
    return Remains(
        statuses={job.id: job.get_status().value for job in found if job},
        results={key: (r.type, r.return_value, bool(r.exc_string)) for key, r in results.items() if r},
        counts=(worker.successful_job_count, worker.failed_job_count),
        keys=_dump(queue.connection),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_job_leaves_the_keys_that_rq_leaves(
    kind: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue, status = KINDS[kind]
    ours = _run(queue, BatchWorker, enqueue)
    monkeypatch.setattr(batch_jobs, "act", batch_jobs.plain_act)
    theirs = _run(queue, SimpleWorker, enqueue)
    assert theirs.statuses.get("one", "gone") == status
    assert (ours.statuses, ours.results, ours.counts) == (theirs.statuses, theirs.results, theirs.counts)
    assert ours.keys == theirs.keys


def test_kinds_of_jobs_do_not_affect_each_other_in_a_batch(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def enqueue(queue: Queue) -> None:
        kinds = ["return", "raise", "foreign", "retry", "return", "retry later", "raise"]
        for number, kind in enumerate(kinds):
            job_id, retry = f"job-{number}", Retry(max=1, interval=50) if number == 6 else None
            queue.enqueue(HERE + ".act", kind, number, job_id=job_id, retry=retry, result_ttl=number * 10)

    batch_jobs.calls.clear()
    ours = _run(queue, BatchWorker, enqueue)
    assert batch_jobs.calls[0] == [0, 1, 2, 3, 4, 5, 6]
    monkeypatch.setattr(batch_jobs, "act", batch_jobs.plain_act)
    theirs = _run(queue, SimpleWorker, enqueue)
    assert (ours.counts, ours.keys) == (theirs.counts, theirs.keys)
