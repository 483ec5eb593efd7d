"""`/metrics` for Prometheus: the state of the site, and the metrics that live workers publish."""

import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mlsite import http_metrics
from predictions import classifiers, queues
from predictions.admission import backpressure
from predictions.models import Prediction
from review.counting import state_counts, verdict_counts
from review.models import Case
from worker.rq_batch.liveness import LiveWorker, live_workers
from worker.rq_batch.metrics import published_metrics

logger = logging.getLogger(__name__)


class SiteCollector(Collector):
    """Reads the queue, its workers, the database and the disk on each scrape.

    What cannot be read is left out, and `mlsite_queue_up` or `mlsite_database_up` is 0.
    """

    def collect(self) -> Iterator[Metric]:
        yield _gauge("waiting_requests", "Waiting requests of this web process", backpressure.wait_slots.in_use)
        yield _gauge("disk_free_bytes", "Free space of DATA_DIR", shutil.disk_usage(settings.DATA_DIR).free)
        active = GaugeMetricFamily("mlsite_active_model_info", "The active model version", labels=["version"])
        if version := classifiers.active_name():
            active.add_metric([version], 1)
        yield active
        yield from _of_database()
        yield from _of_queue()


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mlsite_{name}", documentation, value)


def _of_database() -> Iterator[Metric]:
    try:
        oldest = Prediction.objects.waiting().order_by("created_at").values_list("created_at", flat=True).first()
        states, verdicts = state_counts(), verdict_counts()
    except DatabaseError as error:
        logger.warning("Metrics lack the database, which cannot be read: %s", error)
        yield _gauge("database_up", "Whether the database answers", 0)
        return
    yield _gauge("database_up", "Whether the database answers", 1)
    age = (timezone.now() - oldest).total_seconds() if oldest else 0
    yield _gauge("oldest_prediction_seconds", "Age of the oldest prediction without an answer", max(0.0, age))
    cases = GaugeMetricFamily("mlsite_cases", "Cases by state", labels=["state"])
    for state in Case.State.values:
        cases.add_metric([state], states[state])
    yield cases
    feedback = GaugeMetricFamily("mlsite_feedback", "Statements by verdict", labels=["verdict"])
    for verdict, number in verdicts.items():
        feedback.add_metric([verdict or "report"], number)
    yield feedback


def _of_queue() -> Iterator[Metric]:
    try:
        queue = queues.queue()
        length, workers = queue.count, live_workers(queue)
    except redis.RedisError as error:
        logger.warning("Metrics lack the queue, which cannot be reached: %s", error)
        yield _gauge("queue_up", "Whether the queue server answers", 0)
        return
    yield _gauge("queue_up", "Whether the queue server answers", 1)
    yield _gauge("queue_length", "Predictions that wait for a worker", length)
    yield _gauge("workers", "Live workers", len(workers))
    rates = GaugeMetricFamily("mlsite_worker_rate", "Jobs per second of a busy worker; 0 if unknown", labels=["worker"])
    models = GaugeMetricFamily(
        "mlsite_worker_model_info", "The model version that a worker has loaded", labels=["worker", "version"]
    )
    for worker in workers:
        rates.add_metric([worker.name], float(worker.facts.get("rate") or 0))
        models.add_metric([worker.name, worker.facts.get("model", "")], 1)
    yield rates
    yield models
    yield from _of_workers(workers)


def _of_workers(workers: Iterable[LiveWorker]) -> Iterator[Metric]:
    """Merges the samples of all workers by metric name: Prometheus rejects duplicate names."""
    families: defaultdict[str, list[Metric]] = defaultdict(list)
    for worker in workers:
        try:
            for metric in published_metrics(worker.name, worker.facts.get("metrics", "[]"), prefix="mlsite_"):
                families[metric.name].append(metric)
        except (json.JSONDecodeError, ValueError, TypeError):
            logger.warning("Cannot read the metrics of worker %s.", worker.name)
    for first, *others in families.values():
        for other in others:
            first.samples.extend(other.samples)
        yield first


registry = CollectorRegistry()
registry.register(SiteCollector())
registry.register(http_metrics.REQUESTS)


@require_safe
@never_cache
def metrics(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
