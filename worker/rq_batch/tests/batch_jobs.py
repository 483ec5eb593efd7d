"""Job functions for the tests, and the program of the worker processes that run them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import cache
from typing import Any, NoReturn

import redis
from rq import Queue
from rq.job import Job, Retry
from rq.serializers import JSONSerializer

from worker.rq_batch import BatchWorker, batched

NAME = "batches"
HERE = __name__  # prefix of the dotted paths by which jobs name these functions

# The arguments of each call of a job function in this process.
calls: list[list[Any]] = []

# In a worker process: the list in Redis that gets the names of the jobs of each call, and where Redis is.
CALLS = "batches:calls"
URL = "BATCH_JOBS_REDIS"


def queue(url: str) -> Queue:
    return Queue(NAME, connection=redis.Redis.from_url(url), serializer=JSONSerializer)


# --- Functions whose argument says how the job ends ---


def outcome(kind: str, value: object) -> object:
    match kind:
        case "raise":
            raise ValueError(value)
        case "exit":
            sys.exit(3)
        case "retry":
            return Retry(max=2)
        case "retry later":
            return Retry(max=2, interval=50)
        case "foreign":
            return object()
        case "sleep":
            time.sleep(float(str(value)))
    return value


@batched(max_size=8)
def act(arguments: list[tuple[str, object]]) -> list[object]:
    calls.append([value for _kind, value in arguments])
    outcomes: list[object] = []
    for kind, value in arguments:
        try:
            outcomes.append(outcome(kind, value))
        except Exception as error:  # noqa: BLE001 - any exception is the outcome of this job
            outcomes.append(error)
    return outcomes


@batched(max_size=8)
def all_or_nothing(arguments: list[tuple[str, object]]) -> list[object]:
    """Raises for the whole batch when one of its jobs does."""
    calls.append([value for _kind, value in arguments])
    return [outcome(kind, value) for kind, value in arguments]


def plain_act(kind: str, value: object) -> object:
    """Does what `act` does for one job, as an ordinary job function."""
    return outcome(kind, value)


def plain_with_name(*, name: str) -> str:
    return f"hello {name}"


# --- Batches ---


@batched(max_size=64)
def numbers(arguments: list[tuple[int]]) -> list[int]:
    calls.append([number for (number,) in arguments])
    return [number * number for (number,) in arguments]


@batched(max_size=64)
def failing(arguments: list[tuple[int]]) -> list[ValueError]:
    calls.append([number for (number,) in arguments])
    return [ValueError(number) for (number,) in arguments]


@batched(max_size=4)
def fours(arguments: list[tuple[int]]) -> list[int]:
    calls.append([number for (number,) in arguments])
    return [0] * len(arguments)


@batched(max_size=3, max_wait=1.5)
def patient(arguments: list[tuple[int]]) -> list[int]:
    calls.append([number for (number,) in arguments])
    return [0] * len(arguments)


@batched(max_size=3, max_wait=300)
def very_patient(arguments: list[tuple[int]]) -> list[int]:
    calls.append([number for (number,) in arguments])
    return [0] * len(arguments)


@batched(max_size=8)
def too_few(arguments: list[tuple[int]]) -> list[int]:
    calls.append([number for (number,) in arguments])
    return [0]


@batched(max_size=8)
def none_at_all(arguments: list[tuple[int]]) -> Sequence[object]:
    return []


# --- Functions for worker processes ---


@cache
def _connection() -> redis.Redis:
    return redis.Redis.from_url(os.environ[URL])


def _say(names: Sequence[str]) -> None:
    _connection().rpush(CALLS, " ".join(names))


def _sleep(seconds: float) -> None:
    """Sleeps in short steps.

    Python notices a signal that arrives just before a blocking system call only after that call. Tests send theirs
    just when a job has begun: one time in eight, that was just before the sleep.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))


@batched(max_size=4)
def slow(arguments: list[tuple[str, float]]) -> list[str]:
    """Takes as long as the slowest job of the batch. A job named `kill` kills its worker."""
    names = [name for name, _seconds in arguments]
    _say(names)
    if "kill" in names:
        os.kill(os.getpid(), signal.SIGKILL)
    _sleep(max(seconds for _name, seconds in arguments))
    return names


@batched(max_size=4)
def slow_failing(arguments: list[tuple[str, float]]) -> list[ValueError]:
    """Takes as long as `slow`, and fails each job."""
    return [ValueError(name) for name in slow.batching.function(arguments)]  # type: ignore[attr-defined]


def plain_slow(name: str, seconds: float) -> str:
    """Does what `slow` does for one job, as an ordinary job function."""
    return str(slow(name, seconds))


@batched(max_size=4)
def slow_alone(arguments: list[tuple[str, float]]) -> list[str]:
    """Raises for a batch, so that each of its jobs is run alone."""
    _say([name for name, _seconds in arguments])
    ((name, seconds),) = arguments
    _sleep(seconds)
    return [name]


def never_ends(name: str) -> NoReturn:
    """An ordinary job function that keeps its worker busy until the worker is killed."""
    _say([name])
    while True:
        time.sleep(60)


@batched(max_size=4)
def hangs(arguments: list[tuple[str]]) -> NoReturn:
    """Never ends, and no time-out interrupts it: it behaves like compiled code that hangs."""
    _say([name for (name,) in arguments])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    while True:
        time.sleep(60)


def succeeded(job: Job, connection: redis.Redis, result: object) -> None:
    connection.incr("batches:succeeded")


def failed(job: Job, connection: redis.Redis, *details: object) -> None:
    connection.incr("batches:failed, to be retried" if job.should_retry else "batches:failed")


def raises(job: Job, *details: object) -> NoReturn:
    raise RuntimeError("this callback always does")


if __name__ == "__main__":
    os.environ[URL] = sys.argv[1]
    if "impatient" in sys.argv:
        from worker.rq_batch import heartbeat

        heartbeat.BEAT_SECONDS, heartbeat.HANGS_AFTER_SECONDS = 0.2, 0.5  # type: ignore[assignment]
    BatchWorker([queue(sys.argv[1])]).work(burst="burst" in sys.argv)
