"""`/metrics` for Prometheus: the state of the site, and the metrics that live workers publish."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator

import redis
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from predictions import queues
from predictions.admission import backpressure
from worker.rq_batch.liveness import LiveWorker, live_workers
from worker.rq_batch.metrics import published_metrics

logger = logging.getLogger(__name__)


class SiteCollector(Collector):
    """Reads the queue and its workers on each scrape."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "site_waiting_requests", "Waiting requests of this web process", backpressure.wait_slots.in_use
        )
        try:
            queue = queues.queue()
            length, workers = queue.count, live_workers(queue)
        except redis.RedisError as error:
            logger.warning("Metrics lack the queue, which cannot be reached: %s", error)
            yield GaugeMetricFamily("queue_up", "Whether the queue server answers", 0)
            return
        yield GaugeMetricFamily("queue_up", "Whether the queue server answers", 1)
        yield GaugeMetricFamily("queue_length", "Predictions that wait for a worker", length)
        yield GaugeMetricFamily("workers", "Live workers", len(workers))
        rates = GaugeMetricFamily("worker_rate", "Jobs per second of a busy worker; 0 if unknown", labels=["worker"])
        for worker in workers:
            rates.add_metric([worker.name], float(worker.facts.get("rate") or 0))
        yield rates
        yield from _of_workers(workers)


def _of_workers(workers: Iterable[LiveWorker]) -> Iterator[Metric]:
    """Merges the samples of all workers by metric name: Prometheus rejects duplicate names."""
    families: defaultdict[str, list[Metric]] = defaultdict(list)
    for worker in workers:
        try:
            for metric in published_metrics(worker.name, worker.facts.get("metrics", "[]")):
                families[metric.name].append(metric)
        except (json.JSONDecodeError, ValueError, TypeError):
            logger.warning("Cannot read the metrics of worker %s.", worker.name)
    for first, *others in families.values():
        for other in others:
            first.samples.extend(other.samples)
        yield first


registry = CollectorRegistry()
registry.register(SiteCollector())


@require_safe
@never_cache
def metrics(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
