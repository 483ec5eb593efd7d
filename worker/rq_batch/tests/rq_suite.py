"""A pytest plugin that runs RQ's own tests on `BatchWorker`. See test_rq_suite.py."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

import redis
import rq
import rq.worker
from rq.serializers import resolve_serializer

from worker.rq_batch import BatchWorker

PORT = "RQ_SUITE_PORT"


class SuiteWorker(BatchWorker):
    """A `BatchWorker` with the serializer that its caller names: RQ's tests pickle unless they name another."""

    def __init__(self, *args: Any, serializer: Any = None, **kwargs: Any) -> None:
        self.job_serializer = resolve_serializer(serializer)
        super().__init__(*args, **kwargs)


def _with_port(function: Any, port: int) -> None:
    """Changes the default port of a function. RQ's tests use that of Redis, where another server may run."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    function.__defaults__ = tuple(port if default == 6379 else default for default in function.__defaults__)


def pytest_unconfigure() -> None:
    """Ends the worker processes that tests of pools have left. The interpreter would wait for them."""
    for process in multiprocessing.active_children():
        process.kill()


if PORT in os.environ:
    for function in (redis.Redis.__init__, redis.Connection.__init__):
        _with_port(function, int(os.environ[PORT]))
    rq.SimpleWorker = rq.worker.SimpleWorker = SuiteWorker  # type: ignore[misc]
