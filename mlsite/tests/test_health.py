import sqlite3

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings
from rq import Queue

from mlsite import health
from predictions import classifiers, queues
from worker.rq_batch.liveness import LiveWorker


def test_healthz_does_no_io(client: Client) -> None:
    answer = client.get("/healthz")  # without the database mark: a query would raise
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}
    assert client.post("/healthz").status_code == 405


@pytest.fixture(autouse=True)
def active_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "active_name", lambda: "efficientnet-lite0@1")


@pytest.mark.django_db
def test_not_ready_without_a_worker(client: Client, queue: Queue) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "database": "ok",
        "queue": "ok",
        "storage": "ok",
        "worker": "no live worker has a model loaded",
    }
    assert "no-cache" in answer.headers["Cache-Control"]


@pytest.mark.django_db
def test_ready_if_a_worker_has_a_model(client: Client, monkeypatch: pytest.MonkeyPatch, queue) -> None:
    def worker_says(facts: dict[str, str]) -> str:
        worker = LiveWorker("w", "host", 1, "idle", None, facts)  # type: ignore[arg-type]
        monkeypatch.setattr(health, "live_workers", lambda _queue: [worker])
        answer = client.get("/readyz")
        assert (answer.status_code == 200) == (answer.json()["worker"] == "ok")
        return str(answer.json()["worker"])

    assert worker_says({}) == "no live worker has a model loaded"
    assert worker_says({"model": "efficientnet-lite0@0"}) == "ok", "the new version is being loaded"
    assert worker_says({"model": "efficientnet-lite0@1"}) == "ok"
    monkeypatch.setattr(classifiers, "active_name", lambda: "")
    assert worker_says({"model": "efficientnet-lite0@1"}) == "no model is active"


@pytest.mark.django_db
def test_names_a_storage_that_is_not_writable(client: Client, settings: Settings, queue: Queue) -> None:
    assert client.get("/readyz").json()["storage"] == "ok"
    assert list(settings.MEDIA_ROOT.iterdir()) == []  # the probe left nothing behind
    settings.MEDIA_ROOT.rmdir()
    settings.MEDIA_ROOT.write_text("in the way")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["storage"] == "unreachable (FileExistsError)"


@pytest.mark.django_db
def test_names_an_unreachable_database_without_its_password(
    client: Client, monkeypatch: pytest.MonkeyPatch, queue
) -> None:
    def gone(*_: object) -> None:
        raise ConnectionRefusedError("postgres://user:password@db")

    monkeypatch.setattr(connection, "cursor", gone)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "unreachable (ConnectionRefusedError)"
    assert "password" not in answer.text


@pytest.mark.django_db
def test_asks_a_queue_that_cannot_be_reached_only_once(client: Client, no_queue: None) -> None:
    answer = client.get("/readyz").json()
    assert answer["queue"] == "unreachable (ConnectionError)"
    assert answer["worker"] == "unknown: the queue is not ready"


@pytest.mark.django_db
def test_names_a_queue_that_refuses_writes(client: Client, queue: Queue) -> None:
    server = queues.connection()
    assert client.get("/readyz").json()["queue"] == "ok"
    server.config_set("maxmemory", 1)
    try:
        answer = client.get("/readyz")
    finally:
        server.config_set("maxmemory", 0)
    assert answer.status_code == 503
    assert answer.json()["queue"] == "refuses writes (OutOfMemoryError)"
    server.replicaof("127.0.0.1", "1")
    try:
        assert client.get("/readyz").json()["queue"] == "refuses writes (ReadOnlyError)"
    finally:
        server.replicaof("NO", "ONE")


@pytest.mark.django_db(transaction=True)
def test_names_a_locked_database(client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has no lock for all writes")
    monkeypatch.setattr(health, "LOCK_MILLISECONDS", 10)
    assert client.get("/readyz").json()["database"] == "ok"
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = client.get("/readyz")
    other.close()
    assert (answer.status_code, answer.json()["database"]) == (503, "database is locked")
    assert client.get("/readyz").json()["database"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_names_a_database_that_only_reads(client: Client, queue: Queue) -> None:
    statement = (
        "SET default_transaction_read_only = {}" if connection.vendor == "postgresql" else "PRAGMA query_only = {}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.format("on"))
        answer = client.get("/readyz")
        cursor.execute(statement.format("off"))
    assert answer.status_code == 503
    assert answer.json()["database"] != "ok"
