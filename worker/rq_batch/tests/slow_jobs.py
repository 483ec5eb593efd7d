"""Jobs for tests of what becomes of a worker's job when the worker dies, and the program that such a worker runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NoReturn

import redis
from rq import Queue, get_current_job
from rq.serializers import JSONSerializer

from worker.rq_batch import BatchWorker

QUEUE = "slow"
STARTED = "slow:started"


def never_ends() -> NoReturn:
    """Says in Redis that it has started, then keeps its worker busy until somebody kills it."""
    job = get_current_job()
    assert job is not None
    job.connection.rpush(STARTED, job.id)
    while True:
        time.sleep(60)


def ends() -> None:
    pass


def failed(job: object, connection: redis.Redis, *_details: object) -> None:
    """A failure callback: counts."""
    connection.incr("slow:failed")


def queue(url: str) -> Queue:
    return Queue(QUEUE, connection=redis.Redis.from_url(url), serializer=JSONSerializer)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    BatchWorker([queue(sys.argv[1])]).work()
