"""The metrics of a batch worker, and how they are published."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from rq import Queue

from worker.rq_batch import BatchWorker, metrics
from worker.rq_batch.bookkeeping import Bookkeeper
from worker.rq_batch.liveness import live_workers
from worker.rq_batch.tests.batch_jobs import HERE

Growth = Callable[..., float]


def _value(sample: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(sample, labels) or 0.0


@pytest.fixture
def growth() -> Growth:
    """Returns by how much a sample has grown in this test."""
    before = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in metrics.REGISTRY.collect()
        for sample in metric.samples
    }
    return lambda name, **labels: _value(name, **labels) - before.get((name, *sorted(labels.items())), 0.0)


def _run(queue: Queue, *jobs: tuple[str, Sequence[object]], **options: int) -> BatchWorker:
    for function, arguments in jobs:
        queue.enqueue(f"{HERE}.{function}", *arguments)
    worker = BatchWorker([queue])
    worker.work(burst=True, **options)
    return worker


def test_published_metrics_carry_the_worker_name() -> None:
    metrics.BATCHES.labels("full").inc()

    class Published:
        def collect(self) -> list[Metric]:
            return list(metrics.published_metrics("worker-1", metrics.published()))

    registry = CollectorRegistry()
    registry.register(Published())
    expected = {
        (sample.name, *sorted({**sample.labels, "worker": "worker-1"}.items())): sample.value
        for metric in metrics.REGISTRY.collect()
        for sample in metric.samples
    }
    found = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }
    assert found == expected
    text = generate_latest(registry).decode()
    assert "# TYPE worker_batch_size histogram" in text
    assert 'worker_batches_total{closed="full",worker="worker-1"}' in text


def test_worker_entry_contains_metrics(queue: Queue) -> None:
    worker = BatchWorker([queue])
    worker.register_birth()
    (found,) = live_workers(queue)
    names = {name for name, *_rest in json.loads(found.facts["metrics"])}
    assert {"worker_batch_size", "worker_jobs", "worker_queue_wait_seconds"} <= names
    assert found.facts["rate"] == "0.0"
    worker.register_death()


def test_batch_is_counted(queue: Queue, growth: Growth) -> None:
    worker = _run(queue, ("act", ["return", 0]), ("act", ["raise", 1]), ("act", ["return", 2]))
    assert (growth("worker_batch_size_count"), growth("worker_batch_size_sum")) == (1, 3)
    assert (growth("worker_jobs_total", outcome="finished"), growth("worker_jobs_total", outcome="failed")) == (2, 1)
    assert growth("worker_queue_wait_seconds_count") == 3
    assert growth("worker_run_seconds_count") == growth("worker_bookkeeping_seconds_count") == 1
    assert worker.serialize()["rate"] == 0, "three jobs are too few"


def test_cancelled_jobs_are_counted(queue: Queue, growth: Growth, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Bookkeeper.take

    def cancelled(*args: object, **options: object) -> object:
        taken = take(*args, **options)  # type: ignore[arg-type]
        for member in taken:
            member.job.set_status("canceled")  # type: ignore[arg-type]
        return taken

    monkeypatch.setattr(Bookkeeper, "take", cancelled)
    _run(queue, ("act", ["return", 0]), ("act", ["return", 1]))
    assert (growth("worker_jobs_total", outcome="dropped"), growth("worker_batch_size_count")) == (2, 0)


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        (["fours"] * 4, {"full": 1}),
        (["fours"] * 5, {"full": 1, "drained": 1}),
        (["fours"] * 2, {"drained": 1}),
        (["fours", "numbers"], {"mixed": 1, "drained": 1}),
        (["patient"] * 2, {"waited": 1}),
    ],
)
def test_batches_are_counted_by_reason_for_closing(
    functions: list[str], expected: dict[str, int], queue: Queue, growth: Growth
) -> None:
    _run(queue, *[(function, [number]) for number, function in enumerate(functions)])
    reasons = {reason: growth("worker_batches_total", closed=reason) for reason in _reasons()}
    assert {reason: number for reason, number in reasons.items() if number} == expected


def _reasons() -> set[str]:
    """Returns all reasons given in this process."""
    return {sample.labels["closed"] for metric in metrics.BATCHES.collect() for sample in metric.samples}


def test_worker_publishes_its_rate(queue: Queue) -> None:
    worker = _run(queue, *[("act", ["return", number]) for number in range(metrics.RATE_JOBS)])
    assert worker.serialize()["rate"] > 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present time, in a list that the test may change."""
    now = [1000.0]
    monkeypatch.setattr(metrics, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_rate_of_a_few_jobs_is_unknown(clock: list[float]) -> None:
    rate = metrics.Rate()
    assert rate.value == 0
    for _ in range(3):
        rate.observe(1, 4.0)
    assert rate.value == 0
    rate.observe(28, 0.5)
    assert rate.value == 0
    rate.observe(1, 0.5)
    assert rate.value == pytest.approx(32 / 13)


def test_rate_is_the_mean_of_the_newest_batches(clock: list[float]) -> None:
    rate = metrics.Rate()
    rate.observe(32, 320.0)
    assert rate.value == pytest.approx(0.1)
    rate.observe(16, 0.5)
    assert rate.value == pytest.approx(48 / 320.5), "16 jobs are too few alone"
    rate.observe(16, 0.5)
    assert rate.value == pytest.approx(32)
    rate.observe(64, 1.0)
    assert rate.value == pytest.approx(64)


def test_old_rate_is_unknown(clock: list[float]) -> None:
    rate = metrics.Rate()
    rate.observe(16, 1.0)
    clock[0] += 40
    rate.observe(16, 1.0)
    assert rate.value == 16
    clock[0] += 21
    assert rate.value == 0, "half of the jobs are too old"
    rate.observe(16, 0.5)
    assert rate.value == pytest.approx(32 / 1.5)


def test_slow_worker_has_a_rate(clock: list[float]) -> None:
    rate = metrics.Rate()
    for _ in range(100):
        clock[0] += 1.5
        rate.observe(1, 1.5)
    assert rate.value == pytest.approx(1 / 1.5)
