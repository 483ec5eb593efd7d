"""Batches in which one picture breaks the model, and batches during which the clock is set."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import django.utils.timezone
import pytest
import rq.utils
from rq import Queue

from predictions import queues, submission
from predictions.models import Prediction
from predictions.prediction_worker import PredictionWorker
from predictions.tests.fakes import FakeClassifier, stored_image, stored_prediction, upload
from predictions.tests.pictures import picture
from worker.inference.classifier import BatchResult
from worker.rq_batch import worker as batch_worker

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


def _queued(number: int) -> list[Prediction]:
    predictions = [stored_prediction(stored_image(picture(seed=seed)), state="queued") for seed in range(number)]
    queues.enqueue(*[str(prediction.pk) for prediction in predictions])
    return predictions


def _states() -> list[str]:
    return list(Prediction.objects.order_by("created_at").values_list("state", flat=True))


# --- One picture that breaks the model ------------------------------------------------------------


def test_only_the_picture_that_breaks_the_model_fails(
    fake_classifier: FakeClassifier, work_off: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch raises as a whole. Then each picture is tried alone."""
    classify, breaking = fake_classifier.classify, picture(seed=2)

    def picky(images: Sequence[bytes | Exception]) -> BatchResult:
        classified = classify(images)
        if breaking in images:
            raise RuntimeError("secret detail")
        return classified

    monkeypatch.setattr(fake_classifier, "classify", picky)
    _queued(5)
    work_off()
    assert _states() == ["done", "done", "failed", "done", "done"]
    assert fake_classifier.batches == [5, *[1] * 5, *[1] * (queues.ATTEMPTS - 1)]
    failed = Prediction.objects.get(state="failed")
    assert (failed.error_code, "secret" in failed.error) == ("classification-failed", False)


def test_pictures_succeed_alone_if_the_batch_is_too_large(
    fake_classifier: FakeClassifier, work_off: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    classify = fake_classifier.classify

    def too_much_at_once(images: Sequence[bytes | Exception]) -> BatchResult:
        classified = classify(images)
        if len(images) > 1:
            raise MemoryError
        return classified

    monkeypatch.setattr(fake_classifier, "classify", too_much_at_once)
    _queued(4)
    work_off()
    assert (_states(), fake_classifier.batches) == (["done"] * 4, [4, 1, 1, 1, 1])


# --- The clock is set --------------------------------------------------------------------------


class SettableClock:
    """Replaces the wall clock for everything that reads it here: rows, jobs, registries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        of_django, of_rq = django.utils.timezone.now, rq.utils.now
        monkeypatch.setattr(django.utils.timezone, "now", lambda: of_django() + self.ahead)
        created = Prediction._meta.get_field("created_at")
        monkeypatch.setattr(created, "_get_default", django.utils.timezone.now)

        def rq_now() -> datetime:
            return of_rq() + self.ahead

        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in {"rq", "worker", "django_rq"} and getattr(module, "now", None) is of_rq:
                monkeypatch.setattr(module, "now", rq_now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SettableClock:
    return SettableClock(monkeypatch)


class PausedClassifier:
    """Pauses each batch inside the classifier until `resume` is set."""

    def __init__(self, classifier: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self.resume = threading.Event(), threading.Event()
        classify = classifier.classify

        def paused(images: Sequence[bytes | Exception]) -> BatchResult:
            self.started.set()
            assert self.resume.wait(20)
            return classify(images)

        monkeypatch.setattr(classifier, "classify", paused)


@pytest.fixture
def maintained(clock: SettableClock, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released after each maintenance of a worker. Maintenance runs all the time here."""
    done = threading.Semaphore(0)
    recover = PredictionWorker.recover

    def recorded(worker: PredictionWorker) -> None:
        recover(worker)
        done.release()

    monkeypatch.setattr(batch_worker, "MAINTENANCE_SECONDS", 0.01)
    monkeypatch.setattr(PredictionWorker, "recover", recorded)
    return done


def test_answers_after_the_clock_was_set(
    clock: SettableClock, maintained: threading.Semaphore, worker: FakeClassifier
) -> None:
    for seed, ahead in enumerate([timedelta(0), HOUR, -HOUR, 24 * HOUR, timedelta(0)]):
        clock.ahead = ahead
        file = upload(picture(seed=seed))
        prediction = submission.prediction_request(upload=file, source=Prediction.Source.API, wait_seconds=20)
        assert prediction.state == "done", ahead
        assert prediction.queue_ms is not None and prediction.total_ms is not None
        assert 0 <= prediction.queue_ms <= prediction.total_ms < HOUR.total_seconds() * 1000
        for _ in range(3):
            assert maintained.acquire(timeout=20), "maintenance stopped"


@pytest.mark.parametrize("ahead", [HOUR, -HOUR, 24 * HOUR])
def test_answers_once_if_the_clock_is_set_during_a_batch(
    clock: SettableClock, worker: FakeClassifier, queue: Queue, ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker's maintenance does not take the busy worker for dead, and all predictions are answered."""
    paused = PausedClassifier(worker, monkeypatch)
    (first,) = _queued(1)
    assert paused.started.wait(20)
    second = stored_prediction(stored_image(picture(seed=1)), state="queued")
    queues.enqueue(str(second.pk))
    clock.ahead = ahead
    PredictionWorker([queue]).run_maintenance_tasks()
    paused.resume.set()
    for prediction in (first, second):
        answered = submission.prediction_wait(prediction.id, 20)
        assert (answered.state, answered.error) == ("done", "")
        assert answered.queue_ms is not None and answered.queue_ms >= 0
        assert answered.total_ms is not None and answered.total_ms >= 0
    assert worker.batches == [1, 1], "nothing was computed twice"
