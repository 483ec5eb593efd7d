import pytest
from django.db import connection
from django.test import Client
from rq import Queue

from mlsite import health
from worker.batch_worker.liveness import LiveWorker


def test_healthz_does_no_io(client: Client) -> None:
    answer = client.get("/healthz")  # without the database mark: a query would raise
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_not_ready_without_a_worker(client: Client, queue: Queue) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "database": "ok",
        "queue": "ok",
        "worker": "no live worker has a model loaded",
    }
    assert "no-cache" in answer.headers["Cache-Control"]


@pytest.mark.django_db
def test_ready_with_a_worker_that_has_a_model(client: Client, monkeypatch: pytest.MonkeyPatch, queue) -> None:
    def workers(facts: dict[str, str]) -> None:
        worker = LiveWorker("w", "host", 1, "idle", None, facts)  # type: ignore[arg-type]
        monkeypatch.setattr(health, "live_workers", lambda _queue: [worker])

    workers({})
    assert client.get("/readyz").status_code == 503
    workers({"model": "efficientnet-lite0@1"})
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_a_database_that_is_gone_is_named(client: Client, monkeypatch: pytest.MonkeyPatch, queue) -> None:
    def gone(*_: object) -> None:
        raise ConnectionRefusedError("postgres://user:password@db")

    monkeypatch.setattr(connection, "cursor", gone)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "unreachable (ConnectionRefusedError)"
    assert "password" not in answer.text
