"""Submission: what a request stores and queues, and how it waits for the answer."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings
from rq import Queue

from predictions import announcements, answering, queues, submission
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction, until_listening, upload

pytestmark = pytest.mark.django_db(transaction=True)


def _request(**options: object) -> Prediction:
    return submission.prediction_request(upload=upload(), source=Prediction.Source.API, **options)  # type: ignore[arg-type]


def test_returns_the_answer_within_the_wait(worker: FakeClassifier) -> None:
    prediction = _request(wait_seconds=20)
    assert (prediction.state, prediction.label, prediction.model_version) == ("done", "espresso", "fake-net@1")
    assert prediction.queue_ms is not None and prediction.total_ms is not None
    assert 0 <= prediction.queue_ms <= prediction.total_ms


def test_returns_a_queued_prediction_without_waiting(queue: Queue) -> None:
    prediction = _request()
    assert (prediction.state, queue.job_ids) == ("queued", [str(prediction.id)])
    assert prediction.expires_at is None


@pytest.mark.django_db(transaction=False)
def test_queues_on_commit_and_not_before(
    queue: Queue, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        prediction = _request()
        assert queue.job_ids == []
    assert queue.job_ids == [str(prediction.id)]


def test_waiting_does_not_poll(queue: Queue) -> None:
    """The row is read once at the beginning. The answer comes with the announcement."""
    prediction = stored_prediction(state="queued")
    until_listening()

    def answer() -> None:
        threading.Event().wait(0.3)  # time in which polling would read the row again
        answering.predictions_answer([prediction.id], FakeClassifier())  # type: ignore[arg-type]
        connections.close_all()

    thread = threading.Thread(target=answer)
    with CaptureQueriesContext(connection) as queries:
        thread.start()
        result = submission.prediction_wait(prediction.id, 20)
    thread.join()
    assert (result.state, result.label, result.top[0]) == ("done", "espresso", ["espresso", 0.951234])
    assert len(queries) == 1


def test_a_new_request_does_not_read_its_answer_from_the_database(worker: FakeClassifier) -> None:
    until_listening()
    with CaptureQueriesContext(connection) as queries:
        prediction = _request(wait_seconds=20)
    assert not any("predictions_prediction" in query["sql"] for query in queries if "INSERT" not in query["sql"])
    stored = Prediction.objects.get()
    for field in Prediction._meta.concrete_fields:
        assert getattr(prediction, field.attname) == getattr(stored, field.attname), field.name


def test_reads_the_row_after_an_announcement_without_columns(queue: Queue) -> None:
    """The announcement of a cancellation holds no columns."""
    prediction = stored_prediction(state="queued")
    until_listening()

    def cancel() -> None:
        threading.Event().wait(0.1)
        submission.prediction_cancel(prediction.id)
        connections.close_all()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    result = submission.prediction_wait(prediction.id, 20)
    cancelling.join()
    assert result.state == "cancelled" and result.finished_at is not None


def test_returns_the_waiting_prediction_after_the_wait(queue: Queue) -> None:
    prediction = stored_prediction(state="queued")
    assert submission.prediction_wait(prediction.id, 0.01).state == "queued"


def test_does_not_wait_for_a_prediction_that_was_cancelled(queue: Queue) -> None:
    prediction = stored_prediction(state="queued")
    Prediction.objects.update(state="cancelled", finished_at=timezone.now())
    assert submission.prediction_wait(prediction.id, 20).state == "cancelled"


def test_does_not_wait_for_an_answered_prediction(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    prediction = stored_prediction()
    with django_assert_num_queries(1):
        assert submission.prediction_wait(prediction.id, 20).is_done


def test_rejects_and_records_a_failure_if_the_queue_cannot_be_reached(
    no_queue: None, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RequestRejected) as caught:
        _request(wait_seconds=20)
    assert (caught.value.code, caught.value.status) == ("queue-unavailable", 503)
    prediction = Prediction.objects.get()
    assert (prediction.state, prediction.error_code) == ("failed", "queue-unavailable")
    assert caught.value.headers == {"Retry-After": "5"}
    assert "Could not queue 1 predictions" in caplog.text


def test_an_absent_queue_is_retried_for_less_than_two_seconds(no_queue: None, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", naps.append)
    with pytest.raises(RequestRejected):
        _request()
    assert sum(naps) < 2


def test_a_queue_that_hangs_times_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "ANSWER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never answers
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        queues.queue.cache_clear()
        with pytest.raises(RequestRejected) as caught:
            _request()
    queues.queue.cache_clear()
    assert caught.value.status == 503


def test_cancels_a_queued_prediction_once(queue: Queue) -> None:
    prediction = stored_prediction(state="queued")
    cancelled = submission.prediction_cancel(prediction.id)
    assert cancelled.state == "cancelled" and cancelled.finished_at is not None
    assert submission.prediction_cancel(prediction.id).finished_at == cancelled.finished_at


@pytest.mark.parametrize("state", ["running", "done"])
def test_does_not_cancel_a_prediction_that_a_worker_has_started(queue: Queue, state: str) -> None:
    prediction = stored_prediction(state=state)
    with pytest.raises(RequestRejected) as caught:
        submission.prediction_cancel(prediction.id)
    assert (caught.value.code, caught.value.status) == ("not-cancellable", 409)
    prediction.refresh_from_db()
    assert prediction.state == state


def test_a_cancellation_is_announced(queue: Queue) -> None:
    prediction = stored_prediction(state="queued")
    until_listening()
    with announcements.listener.expect(prediction.id) as waiter:
        submission.prediction_cancel(prediction.id)
        assert waiter.wait(20)


def test_sets_the_time_of_expiry(queue: Queue) -> None:
    prediction = _request(expires_after=timedelta(hours=1))
    now = timezone.now()
    assert prediction.expires_at is not None
    assert now < prediction.expires_at <= now + timedelta(hours=1)
