"""`manage.py rqworker` and its worker class."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InterfaceError
from django.utils import timezone
from pytest_django import Settings
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker

from predictions import answering, classifiers, prediction_worker, queues, recovery
from predictions.models import Prediction
from predictions.prediction_worker import PredictionWorker
from predictions.tests.fakes import FakeClassifier, stored_prediction
from worker.inference.repository import Repository
from worker.rq_batch.liveness import live_workers

pytestmark = pytest.mark.django_db(transaction=True)


def _run(*queue_names: str, **options: object) -> None:
    call_command("rqworker", *queue_names, **{"burst": True, "verbosity": 0, **options})


def test_answers_a_queued_prediction(queue: Queue, fake_classifier: FakeClassifier) -> None:
    prediction = stored_prediction(state="queued")
    queues.enqueue(str(prediction.id))
    _run()
    prediction.refresh_from_db()
    assert prediction.state == "done"


@pytest.fixture
def workers(queue: Queue, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> list[PredictionWorker]:
    """The workers that the command creates. They do not run."""
    created: list[PredictionWorker] = []
    monkeypatch.setattr(PredictionWorker, "work", lambda worker, **_options: created.append(worker))
    return created


def test_runs_a_prediction_worker_on_its_queue(workers: list[PredictionWorker]) -> None:
    _run()
    (worker,) = workers
    assert isinstance(worker, PredictionWorker)
    assert worker.queue_names() == ["predictions"]
    assert worker.serializer is JSONSerializer


def test_a_pickle_is_never_read(workers: list[PredictionWorker]) -> None:
    _run("predictions", serializer="rq.serializers.PickleSerializer")
    assert workers[0].serializer is JSONSerializer
    assert workers[0].queues[0].serializer is JSONSerializer


def test_loads_the_model_before_it_registers(
    queue: Queue, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    register = SimpleWorker.register_birth

    def load() -> FakeClassifier:
        happened.append("model loaded")
        return fake_classifier

    def registered(worker: SimpleWorker) -> Any:
        happened.append("registered")
        return register(worker)

    monkeypatch.setattr(classifiers, "current", load)
    monkeypatch.setattr(SimpleWorker, "register_birth", registered)
    PredictionWorker([queue]).work(burst=True)
    assert happened[:2] == ["model loaded", "registered"]


def test_publishes_the_loaded_version(
    queue: Queue, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = PredictionWorker([queue])
    worker.register_birth()
    assert [found.facts["model"] for found in live_workers(queue)] == ["fake-net@1"]
    monkeypatch.setattr(classifiers, "loaded_version", lambda: "fake-net@2")
    worker.heartbeat()
    assert [found.facts["model"] for found in live_workers(queue)] == ["fake-net@2"]


def test_reports_how_to_install_a_model(
    queue: Queue, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MODELS_DIR = tmp_path
    monkeypatch.setattr(classifiers, "_loaded", None)
    with pytest.raises(CommandError, match="manage.py model install efficientnet-lite0"):
        _run()
    assert live_workers(queue) == []


def test_recovers_lost_predictions(queue: Queue, fake_classifier: FakeClassifier) -> None:
    old = timezone.now() - prediction_worker.RECOVER_AFTER - timedelta(seconds=1)
    lost, young = stored_prediction(state="queued", created_at=old), stored_prediction(state="queued")
    PredictionWorker([queue]).work(burst=True)
    states = {prediction.id: prediction.state for prediction in Prediction.objects.all()}
    assert states == {lost.id: "done", young.id: "queued"}


@pytest.mark.parametrize("error", [DatabaseError("gone"), InterfaceError("connection already closed")], ids=repr)
def test_survives_maintenance_without_a_database(
    queue: Queue,
    fake_classifier: FakeClassifier,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def broken(**_options: object) -> int:
        raise error

    monkeypatch.setattr(recovery, "predictions_recover", broken)
    assert PredictionWorker([queue]).work(burst=True) is False
    assert "Recovery is postponed" in caplog.text


def test_fails_a_prediction_whose_job_killed_all_its_workers(queue: Queue, fake_classifier: FakeClassifier) -> None:
    prediction = stored_prediction(state="running")
    queues.enqueue(str(prediction.id))
    dead = PredictionWorker([queue])
    for _ in range(queues.ATTEMPTS):
        job, _queue = Queue.dequeue_any([queue], None, connection=queue.connection, serializer=JSONSerializer)  # type: ignore[misc]
        dead.prepare_execution(job)
        dead.prepare_job_execution(job, remove_from_intermediate_queue=True)
        PredictionWorker([queue]).run_maintenance_tasks()
    prediction.refresh_from_db()
    assert (prediction.state, prediction.error_code, len(queue)) == ("failed", "classification-failed", 0)


def test_fails_a_prediction_whose_job_was_cancelled_in_the_queue(queue: Queue, fake_classifier: FakeClassifier) -> None:
    """The job was cancelled outside the site just before the worker took it."""
    cancelled, good = stored_prediction(state="queued"), stored_prediction(state="queued")
    queues.enqueue(str(cancelled.id), str(good.id))
    queue.connection.hset(Job.key_for(str(cancelled.id)), "status", "canceled")
    PredictionWorker([queue]).work(burst=True)
    assert fake_classifier.batches == [1]
    states = dict(Prediction.objects.values_list("id", "state"))
    assert states == {cancelled.id: "failed", good.id: "done"}


DAMAGES: dict[str, dict[Any, Any]] = {
    "unknown status": {"status": "levitating"},
    "garbled created_at": {"created_at": "once"},
    "garbled timeout": {"timeout": "soon"},
    "truncated data": {"data": b"x\x9c"},
    "another serializer": {"data": b"\x80\x04N."},
    "unknown function": {"data": b'["no.such.function", null, [1], {}]'},
    "list as meta": {"meta": b'["request_id"]'},
}


@pytest.mark.parametrize("fields", DAMAGES.values(), ids=DAMAGES.keys())
def test_prediction_whose_job_is_damaged_ends(
    fields: dict[Any, Any], queue: Queue, fake_classifier: FakeClassifier
) -> None:
    damaged, good = stored_prediction(state="queued"), stored_prediction(state="queued")
    queues.enqueue(str(damaged.id), str(good.id))
    queue.connection.hset(Job.key_for(str(damaged.id)), mapping=fields)
    PredictionWorker([queue]).work(burst=True)
    states = dict(Prediction.objects.values_list("id", "state"))
    assert states == {damaged.id: "done" if "meta" in fields else "failed", good.id: "done"}
    damaged.refresh_from_db()
    assert damaged.error_code == ("" if "meta" in fields else "classification-failed")


def test_prediction_whose_job_is_no_hash_ends(queue: Queue, fake_classifier: FakeClassifier) -> None:
    prediction = stored_prediction(state="queued")
    queues.enqueue(str(prediction.id))
    queue.connection.delete(Job.key_for(str(prediction.id)))
    queue.connection.rpush(Job.key_for(str(prediction.id)), "no", "hash")
    PredictionWorker([queue]).work(burst=True)
    prediction.refresh_from_db()
    assert (prediction.state, "its job cannot be read" in prediction.error) == ("failed", True)


def test_database_that_is_away_when_a_job_cannot_be_read_loses_no_prediction(
    queue: Queue, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = timezone.now() - prediction_worker.RECOVER_AFTER - timedelta(seconds=1)
    prediction = stored_prediction(state="queued", created_at=old)
    queues.enqueue(str(prediction.id))
    queue.connection.hset(Job.key_for(str(prediction.id)), "status", "levitating")

    def away(*_arguments: object) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(answering, "predictions_fail", away)
        worker = PredictionWorker([queue])
        assert worker._bookkeeper.take(queue, 1) == []
    PredictionWorker([queue]).work(burst=True)
    prediction.refresh_from_db()
    assert prediction.state == "done"


def test_an_idle_worker_loads_a_newly_activated_version(
    queue: Queue, fake_classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(classifiers, "load_activated", lambda: asked.append(classifiers.active_name()))
    PredictionWorker([queue]).run_maintenance_tasks()
    assert asked == ["fake-net@1"]


def test_prepares_the_real_model(
    queue: Queue, models: Repository, coffee: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifiers, "_loaded", None)
    PredictionWorker([queue]).prepare()
    assert classifiers.loaded_version() == str(models.active())


def test_rejects_an_unknown_queue(queue_server: None) -> None:
    with pytest.raises(CommandError, match="^No queue is named 'nope'. The queues: predictions, exports.$"):
        call_command("rqworker", "nope")
