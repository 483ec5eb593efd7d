"""What a worker measures of itself, kept in its process and published with its heartbeat.

A worker has no address where Prometheus could ask. So its measurements travel in its entry in Redis, and whoever serves
metrics reads them there: `published` on this side, `published_metrics` on the other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric

# Everything that a module of a worker process registers here is published.
REGISTRY = CollectorRegistry()

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

BATCH_SIZE = Histogram("worker_batch_size", "Jobs in a batch", buckets=(1, 2, 4, 8, 16, 32, 64), registry=REGISTRY)
BATCHES = Counter("worker_batches", "Batches, by why they were closed", ["closed"], registry=REGISTRY)
JOBS = Counter("worker_jobs", "Jobs, by how they ended", ["outcome"], registry=REGISTRY)
QUEUE_WAIT = Histogram(
    "worker_queue_wait_seconds", "From a job's enqueueing to its start", buckets=SECONDS, registry=REGISTRY
)
RUN = Histogram("worker_run_seconds", "A batch in the job function", buckets=SECONDS, registry=REGISTRY)
BOOKKEEPING = Histogram(
    "worker_bookkeeping_seconds", "Taking, starting and recording a batch", buckets=SECONDS, registry=REGISTRY
)

_SMOOTHING = 0.2  # the weight of the newest batch


class Rate:
    """Batched jobs per second of a worker with enough to do: a smoothed mean over its batches; 0 before the first."""

    def __init__(self) -> None:
        self.value = 0.0

    def observe(self, jobs: int, seconds: float) -> None:
        newest = jobs / max(seconds, 1e-6)
        self.value = newest if not self.value else (1 - _SMOOTHING) * self.value + _SMOOTHING * newest


def published() -> str:
    """All measurements of this process, as JSON."""
    return json.dumps(
        [
            [metric.name, metric.type, metric.documentation, [[s.name, s.labels, s.value] for s in metric.samples]]
            for metric in REGISTRY.collect()
        ]
    )


def published_metrics(worker_name: str, content: str) -> Iterator[Metric]:
    """What a worker published, with its name as a label."""
    for name, kind, documentation, samples in json.loads(content):
        metric = Metric(name, documentation, kind)
        for sample, labels, value in samples:
            metric.add_sample(sample, labels | {"worker": worker_name}, float(value))
        yield metric


class Stopwatch:
    """Seconds since it was made or last read."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def lap(self) -> float:
        before, self._since = self._since, time.perf_counter()
        return self._since - before
