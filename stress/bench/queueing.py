"""A queue of jobs that do nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from uuid import uuid4

import redis
from rq import Queue
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from stress.bench.processes import server_cpu_seconds

NAME = "benchmark"
CHUNK = 1000  # jobs in one round trip
WRITING_SECONDS = 60
IDLE_CORES = 0.05  # that the server uses without requests


def queue_at(address: str) -> Queue:
    return Queue(NAME, connection=redis.Redis.from_url(address), serializer=JSONSerializer)


def fill(queue: Queue, function: str, number: int) -> None:
    """Queues `number` jobs of `stress.bench.jobs.<function>`, each with an id as argument."""
    names: Iterator[str] = (str(uuid4()) for _ in count())
    for start in range(0, number, CHUNK):
        queue.enqueue_many(
            Queue.prepare_data(f"stress.bench.jobs.{function}", args=(name,), job_id=name, description=function)
            for name, _ in zip(names, range(min(CHUNK, number - start)), strict=False)
        )
    _wait_until_written(queue.connection)


def _wait_until_written(connection: redis.Redis) -> None:
    """Waits until the server has finished the work of filling, so that it does not count as work of the jobs."""
    deadline = time.monotonic() + WRITING_SECONDS
    while time.monotonic() < deadline:
        before = server_cpu_seconds(connection)
        time.sleep(0.2)
        # A child rewrites the file, and its CPU time counts only when it has ended.
        rewriting = connection.info("persistence")["aof_rewrite_in_progress"]
        if not rewriting and server_cpu_seconds(connection) - before < 0.2 * IDLE_CORES:
            return
    raise RuntimeError(f"the queue server still writes {WRITING_SECONDS} s after it was filled")


def require_done(queue: Queue, number: int) -> None:
    """Raises `RuntimeError` unless `number` jobs have finished since the server was emptied, and none waits."""
    finished, waiting = FinishedJobRegistry(queue=queue).count, queue.count
    if (finished, waiting) != (number, 0):
        raise RuntimeError(f"of {number} jobs {finished} are done and {waiting} wait")
