"""Metrics of the classifier, in addition to those of every batch worker."""

from prometheus_client import Histogram

from worker.inference.classifier import BatchResult
from worker.rq_batch.metrics import REGISTRY, SECONDS

_DECODE = Histogram(
    "worker_decode_seconds", "Decoding and scaling one part of a batch", buckets=SECONDS, registry=REGISTRY
)
_COMPUTE = Histogram(
    "worker_compute_seconds", "The forward pass of one part of a batch", buckets=SECONDS, registry=REGISTRY
)


def observe(result: BatchResult) -> None:
    for seconds in result.decode_seconds:
        _DECODE.observe(seconds)
    for seconds in result.compute_seconds:
        _COMPUTE.observe(seconds)
