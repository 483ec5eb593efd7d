from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from rq import Queue

from predictions import queues
from predictions.prediction_worker import PredictionWorker
from predictions.tests.fakes import FakeClassifier, stored_prediction
from worker.rq_batch.metrics import RATE_JOBS

pytestmark = pytest.mark.django_db(transaction=True)


def _samples(client: Client) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Maps each name to the (labels, value) of its samples, as Prometheus parses them."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    names = []
    for family in text_string_to_metric_families(answer.text):
        names.append(family.name)
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    assert len(names) == len(set(names)), "Prometheus rejects duplicate names"
    return found


def test_reports_the_queue_and_its_worker(client: Client, queue: Queue, fake_classifier: FakeClassifier) -> None:
    worker = PredictionWorker([queue])
    queues.enqueue(*[str(stored_prediction(state="queued").id) for _ in range(RATE_JOBS)])  # one batch
    worker.register_birth()
    worker.execute_job(*worker.dequeue_job_and_maintain_ttl(None))  # type: ignore[misc]
    worker.heartbeat()
    samples = _samples(client)
    ours = {"worker": worker.name}
    assert samples["mlsite_queue_up"] == [({}, 1)]
    assert samples["mlsite_workers"] == [({}, 1)]
    assert samples["mlsite_queue_length"] == [({}, 0)]
    assert samples["mlsite_worker_rate"][0][0] == ours and samples["mlsite_worker_rate"][0][1] > 0
    for name in ("batch_size", "queue_wait_seconds", "decode_seconds", "compute_seconds", "bookkeeping_seconds"):
        ((labels, count),) = samples[f"mlsite_worker_{name}_count"]
        assert labels == ours and count > 0, name
    assert {labels["closed"] for labels, _ in samples["mlsite_worker_batches_total"]} <= {
        "full",
        "drained",
        "mixed",
        "waited",
    }
    assert ({"outcome": "finished"} | ours) in [labels for labels, _ in samples["mlsite_worker_jobs_total"]]


def test_includes_workers_on_other_machines(client: Client, queue: Queue, fake_classifier: FakeClassifier) -> None:
    """Workers publish their metrics in Redis, so that nothing has to connect to them."""
    here, elsewhere = PredictionWorker([queue]), PredictionWorker([queue])
    for worker in (here, elsewhere):
        worker.register_birth()
        worker.heartbeat()
    queue.connection.hset(elsewhere.key, mapping={"host": "elsewhere", "pid": 2**22 + 1})
    labels = [labels["worker"] for labels, _ in _samples(client)["mlsite_worker_batch_size_count"]]
    assert sorted(labels) == sorted([here.name, elsewhere.name])


@pytest.mark.parametrize("nonsense", ["", "{", "5", "[[1]]", '[["a", "counter", "", [["a", {}, "x"]]]]'])
def test_ignores_malformed_metrics_of_a_worker(
    client: Client, queue: Queue, fake_classifier: FakeClassifier, nonsense: str
) -> None:
    worker = PredictionWorker([queue])
    worker.register_birth()
    queue.connection.hset(worker.key, "metrics", nonsense)
    assert _samples(client)["mlsite_workers"] == [({}, 1)]


def test_reports_an_unreachable_queue(client: Client, no_queue: None) -> None:
    samples = _samples(client)
    assert samples["mlsite_queue_up"] == [({}, 0)]
    assert samples["mlsite_waiting_requests"] == [({}, 0)]


def test_every_name_has_the_prefix(client: Client, queue: Queue, fake_classifier: FakeClassifier) -> None:
    worker = PredictionWorker([queue])
    worker.register_birth()
    worker.heartbeat()
    assert [name for name in _samples(client) if not name.startswith("mlsite_")] == []


def test_reports_the_database_and_the_disk(client: Client, queue: Queue) -> None:
    stored_prediction(state="queued", created_at=timezone.now() - timedelta(minutes=2))
    samples = _samples(client)
    assert samples["mlsite_database_up"] == [({}, 1)]
    ((_labels, age),) = samples["mlsite_oldest_prediction_seconds"]
    assert 120 <= age < 600
    assert {labels["state"]: value for labels, value in samples["mlsite_cases"]} == {
        "open": 0,
        "decided": 0,
        "flagged": 0,
        "erased": 0,
    }
    assert {labels["verdict"] for labels, _ in samples["mlsite_feedback"]} == {"report", "wrong", "right", "unsure"}
    assert samples["mlsite_disk_free_bytes"][0][1] > 0


def test_counts_requests_by_route_and_status(client: Client, no_queue: None) -> None:
    def number(method: str, route: str, status: str) -> float:
        wanted = {"method": method, "route": route, "status": status}
        found = _samples(client).get("mlsite_http_request_seconds_count", [])
        return sum(value for labels, value in found if labels == wanted)

    known = number("GET", "healthz", "200")
    unknown = number("GET", "unresolved", "404")
    client.get("/healthz")
    for path in ("/a", "/b"):
        client.get(path)
    assert number("GET", "healthz", "200") == known + 1
    assert number("GET", "unresolved", "404") == unknown + 2
