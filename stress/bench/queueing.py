"""A queue of jobs that do nothing."""

from __future__ import annotations

import time
from uuid import uuid4

import redis
from rq import Queue
from rq.registry import FinishedJobRegistry
from rq.serializers import JSONSerializer

from devtools.running import eventually
from stress.bench.processes import server_cpu_seconds

NAME = "benchmark"
CHUNK = 1000  # jobs in one round trip
IDLE_CORES = 0.05  # that the server uses without requests


def queue_at(address: str) -> Queue:
    return Queue(NAME, connection=redis.Redis.from_url(address), serializer=JSONSerializer)


def fill(queue: Queue, function: str, number: int) -> None:
    """Queues `number` jobs of `stress.bench.jobs.<function>`, each with an id as argument."""
    ids = [str(uuid4()) for _ in range(number)]
    for start in range(0, number, CHUNK):
        queue.enqueue_many(
            Queue.prepare_data(f"stress.bench.jobs.{function}", args=(job_id,), job_id=job_id, description=function)
            for job_id in ids[start : start + CHUNK]
        )
    eventually(lambda: _is_idle(queue.connection), "the end of writing in the queue server")


def _is_idle(connection: redis.Redis) -> bool:
    """Returns whether the server has finished the work of filling, which must not count as work of the jobs."""
    before = server_cpu_seconds(connection)
    time.sleep(0.2)
    # A child rewrites the file, and its CPU time counts only when it has ended.
    rewriting = connection.info("persistence")["aof_rewrite_in_progress"]
    return not rewriting and server_cpu_seconds(connection) - before < 0.2 * IDLE_CORES


def require_done(queue: Queue, number: int) -> None:
    """Raises `RuntimeError` unless `number` jobs have finished since the server was emptied, and none waits."""
    finished, waiting = FinishedJobRegistry(queue=queue).count, queue.count
    if (finished, waiting) != (number, 0):
        raise RuntimeError(f"of {number} jobs {finished} are done and {waiting} wait")
