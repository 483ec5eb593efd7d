"""What the answering of predictions measures, beside what every batch worker measures."""

from prometheus_client import Histogram

from worker.inference.classifier import BatchResult
from worker.rq_batch.metrics import REGISTRY, SECONDS

_DECODE = Histogram(
    "worker_decode_seconds", "Decoding and scaling one part of a batch", buckets=SECONDS, registry=REGISTRY
)
_COMPUTE = Histogram(
    "worker_compute_seconds", "The forward pass of one part of a batch", buckets=SECONDS, registry=REGISTRY
)


def observe(classified: BatchResult) -> None:
    for seconds in classified.decode_seconds:
        _DECODE.observe(seconds)
    for seconds in classified.compute_seconds:
        _COMPUTE.observe(seconds)
