"""What a batch worker leaves in Redis is what RQ's own worker leaves there."""

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

# Fields of a worker's entry that RQ does not have: they are for liveness, health and metrics.
ONLY_OURS = {"host", "rate", "metrics"}
# The port, or number, of the worker's connection; each has its own.
OF_THE_CONNECTION = {"ip_address"}

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
EXECUTION = re.compile(r"[0-9a-f]{32}")
SECONDS = {"total_working_time"}
MOMENTS = {"created_at", "execution_started_at", "execution_ended_at", "last_heartbeat"}


def _number(value: float) -> object:
    """Seconds since 1970 become seconds from now, and count as equal when they are about so."""
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
        if name in SECONDS or (name in MOMENTS and value and b"T" not in value):
            result[name] = _number(float(value))
        elif name == "exc_string":  # the traceback leads through other functions
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
    """All there is in Redis, without what is different each time."""
    return {
        _text(key): (kind := connection.type(key), _content(connection, key, kind), _number(connection.ttl(key)))
        for key in connection.keys("*")
    }


SUCCEEDED, FAILED = Callback(batch_jobs.HERE + ".succeeded"), Callback(batch_jobs.HERE + ".failed")
RAISES = Callback(batch_jobs.HERE + ".raises")

Enqueue = Callable[[Queue], object]


def _job(kind: str = "return", value: object = "x", function: str = "act", **options: Any) -> Enqueue:
    return lambda queue: queue.enqueue(f"{batch_jobs.HERE}.{function}", kind, value, job_id="one", **options)


def _two_jobs(kind: str, function: str = "act", **options: Any) -> Enqueue:
    """One job, and one that waits for it."""

    def enqueue(queue: Queue) -> None:
        first = queue.enqueue(f"{batch_jobs.HERE}.act", kind, 1, job_id="one", on_success=SUCCEEDED)
        dependency = Dependency([first], **options)
        queue.enqueue(f"{batch_jobs.HERE}.{function}", "return", 2, job_id="two", depends_on=dependency)

    return enqueue


def _with_keywords(queue: Queue) -> None:
    queue.enqueue(batch_jobs.HERE + ".plain_with_name", name="x", job_id="one")


# Each kind of job, and how it ends.
KINDS: dict[str, tuple[Enqueue, str]] = {
    "returns": (_job(value={"a": 1}), "finished"),
    "returns None": (_job(value=None), "finished"),
    "returns nothing much": (_job(value=""), "finished"),
    "returns what JSON has no word for": (_job("foreign"), "finished"),
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
    "another waits for it": (_two_jobs("return"), "finished"),
    "an ordinary one waits for it": (_two_jobs("return", "plain_act"), "finished"),
    "another waits in vain": (_two_jobs("raise"), "failed"),
    "another waits for its end": (_two_jobs("raise", allow_failure=True), "failed"),
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
class Seen:
    """What is left of the jobs after a worker."""

    ends: dict[str, str]
    results: dict[str, tuple[object, object, bool]]
    counts: tuple[int, int]
    everything: dict[str, object]


def _run(queue: Queue, worker_class: type[BaseWorker], enqueue: Enqueue) -> Seen:
    queue.connection.flushdb()
    enqueue(queue)
    worker = worker_class([queue], name="worker", serializer=JSONSerializer)
    worker.work(burst=True)
    worker.refresh()
    found = Job.fetch_many(["one", "two"], queue.connection, JSONSerializer)
    results = {job.id: job.latest_result() for job in found if job}
    return Seen(
        ends={job.id: job.get_status().value for job in found if job},
        results={key: (r.type, r.return_value, bool(r.exc_string)) for key, r in results.items() if r},
        counts=(worker.successful_job_count, worker.failed_job_count),
        everything=_dump(queue.connection),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_like_rq(kind: str, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue, end = KINDS[kind]
    ours = _run(queue, BatchWorker, enqueue)
    monkeypatch.setattr(batch_jobs, "act", batch_jobs.plain_act)
    theirs = _run(queue, SimpleWorker, enqueue)
    assert theirs.ends.get("one", "gone") == end
    assert (ours.ends, ours.results, ours.counts) == (theirs.ends, theirs.results, theirs.counts)
    assert ours.everything == theirs.everything


def test_in_one_batch(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of many kinds are neighbours, and none makes a difference to the others."""

    def enqueue(queue: Queue) -> None:
        kinds = ["return", "raise", "foreign", "retry", "return", "retry later", "raise"]
        for number, kind in enumerate(kinds):
            job_id, retry = f"job-{number}", Retry(max=1, interval=50) if number == 6 else None
            queue.enqueue(batch_jobs.HERE + ".act", kind, number, job_id=job_id, retry=retry, result_ttl=number * 10)

    batch_jobs.calls.clear()
    ours = _run(queue, BatchWorker, enqueue)
    assert batch_jobs.calls[0] == [0, 1, 2, 3, 4, 5, 6]
    monkeypatch.setattr(batch_jobs, "act", batch_jobs.plain_act)
    theirs = _run(queue, SimpleWorker, enqueue)
    assert (ours.counts, ours.everything) == (theirs.counts, theirs.everything)
