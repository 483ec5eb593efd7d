"""Prometheus metrics of a worker, published through Redis.

A worker has no address that Prometheus could scrape. It therefore writes its metrics into its entry in Redis with each
heartbeat (`published`). The process that serves metrics reads them there (`published_metrics`).
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric

# Every metric registered here is published, also those of the application.
REGISTRY = CollectorRegistry()

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

BATCH_SIZE = Histogram("worker_batch_size", "Jobs in a batch", buckets=(1, 2, 4, 8, 16, 32, 64), registry=REGISTRY)
BATCHES = Counter("worker_batches", "Batches, by the reason for closing them", ["closed"], registry=REGISTRY)
JOBS = Counter("worker_jobs", "Jobs, by outcome", ["outcome"], registry=REGISTRY)
QUEUE_WAIT = Histogram(
    "worker_queue_wait_seconds", "Seconds from enqueueing a job to starting it", buckets=SECONDS, registry=REGISTRY
)
RUN = Histogram("worker_run_seconds", "Seconds a batch spends in the job function", buckets=SECONDS, registry=REGISTRY)
BOOKKEEPING = Histogram(
    "worker_bookkeeping_seconds",
    "Seconds for taking, starting and recording a batch",
    buckets=SECONDS,
    registry=REGISTRY,
)

# A rate needs this many jobs: a few may be unusually slow or fast.
RATE_JOBS = 32
# Older batches say nothing of the next ones.
RATE_SECONDS = 60


class Rate:
    """Jobs per second of a busy worker: the mean over its newest batches, as many as hold `RATE_JOBS` jobs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the heartbeat reads what the worker writes
        self._batches: deque[tuple[float, int, float]] = deque()  # when it ended, jobs, seconds
        self._jobs = 0

    def observe(self, jobs: int, seconds: float) -> None:
        with self._lock:
            self._batches.append((time.monotonic(), jobs, seconds))
            self._jobs += jobs
            while self._jobs - self._batches[0][1] >= RATE_JOBS:
                self._jobs -= self._batches.popleft()[1]

    @property
    def value(self) -> float:
        """0, for unknown, if the worker has run fewer than `RATE_JOBS` jobs in the last `RATE_SECONDS`."""
        with self._lock:
            if self._jobs < RATE_JOBS or time.monotonic() - self._batches[0][0] > RATE_SECONDS:
                return 0.0
            return self._jobs / max(sum(seconds for _, _, seconds in self._batches), 1e-6)


def published() -> str:
    """Returns all metrics of this process as JSON."""
    return json.dumps(
        [
            [metric.name, metric.type, metric.documentation, [[s.name, s.labels, s.value] for s in metric.samples]]
            for metric in REGISTRY.collect()
        ]
    )


def published_metrics(worker_name: str, content: str, *, prefix: str = "") -> Iterator[Metric]:
    """Yields the metrics that a worker published, each sample with the worker's name as a label.

    `prefix` is put before all names, such as `mysite_`.
    """
    for name, kind, documentation, samples in json.loads(content):
        metric = Metric(f"{prefix}{name}", documentation, kind)
        for sample, labels, value in samples:
            metric.add_sample(f"{prefix}{sample}", labels | {"worker": worker_name}, float(value))
        yield metric


class Stopwatch:
    """Measures the seconds since its creation or its last reading."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def lap(self) -> float:
        before, self._since = self._since, time.perf_counter()
        return self._since - before
