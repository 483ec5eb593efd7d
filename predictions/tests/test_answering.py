"""Answering: a prediction settles once, and one that fails does not affect others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rq import Queue
from rq.timeouts import JobTimeoutException

from predictions import announcements, answering, stored_images
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.signals import answered
from predictions.tests.fakes import FakeClassifier, stored_image, stored_prediction
from predictions.tests.pictures import picture
from worker.inference.classifier import BatchResult, Classification

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def _queued(seed: int = 0, content: bytes | None = None, **changes: object) -> Prediction:
    image = stored_image(content or picture(seed=seed))
    return stored_prediction(image, **{"state": "queued", **changes})


def _answer(*predictions: Prediction, classifier: FakeClassifier | None = None) -> FakeClassifier:
    classifier = classifier or FakeClassifier()
    answering.predictions_answer([prediction.id for prediction in predictions], classifier)  # type: ignore[arg-type]
    for prediction in predictions:
        prediction.refresh_from_db()
    return classifier


def test_answers_a_batch(queue: Queue) -> None:
    first, second = _queued(1), _queued(2)
    assert _answer(first, second).batches == [2]
    assert [first.state, second.state, first.label] == ["done", "done", "espresso"]
    assert (first.score, first.top[0], first.compute_ms) == (0.9512345, ["espresso", 0.951234], 4.0)


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_records_the_precision_of_an_answer(queue: Queue, precision: str) -> None:
    classifier = FakeClassifier()
    classifier.precision = precision
    prediction = _queued()
    _answer(prediction, classifier=classifier)
    assert prediction.precision == precision


def test_reads_each_picture_when_it_is_decoded(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of a batch together may have more bytes than a worker has memory."""
    reads: list[str] = []
    read = stored_images._read

    def recorded(name: str) -> bytes | Exception:
        reads.append(name)
        return read(name)

    monkeypatch.setattr(stored_images, "_read", recorded)

    class Looking(FakeClassifier):
        def classify(self, images: Sequence[bytes | Exception]) -> BatchResult:
            assert reads == []
            halves = [images[:2], images[2:]]
            assert reads == []
            results = [super(Looking, self).classify(half) for half in halves]
            return BatchResult([answer for result in results for answer in result.answers], [0.0] * 3, [0.0] * 3)

    predictions = [_queued(seed) for seed in range(3)]
    _answer(*predictions, classifier=Looking())
    assert len(reads) == len(set(reads)) == 3
    assert {prediction.state for prediction in predictions} == {"done"}


@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_number_of_queries_does_not_depend_on_the_batch(
    queue: Queue, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    predictions = [_queued(seed) for seed in range(count)]
    # Read, mark as running; begin, lock, update all; a savepoint for the receivers and its release; commit.
    with django_assert_num_queries(8):
        answering.predictions_answer([prediction.id for prediction in predictions], FakeClassifier())  # type: ignore[arg-type]


def test_the_first_answer_stands(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction = _queued()
    _answer(prediction)
    other = FakeClassifier()
    monkeypatch.setattr(FakeClassifier, "version", "other-net@1")
    assert _answer(prediction, classifier=other).batches == []
    assert prediction.model_version == "fake-net@1"


def test_keeps_a_state_that_was_set_during_classification(queue: Queue) -> None:
    class Slow(FakeClassifier):
        def _answer(self, image: bytes | Exception) -> Classification | Exception:
            Prediction.objects.update(state="cancelled", finished_at=timezone.now())
            return super()._answer(image)

    prediction = _queued()
    _answer(prediction, classifier=Slow())
    assert (prediction.state, prediction.label) == ("cancelled", "")


def test_leaves_out_expired_and_cancelled_predictions(queue: Queue) -> None:
    late = _queued(1, expires_at=timezone.now())
    gone = _queued(2, state="cancelled")
    good = _queued(3, expires_at=timezone.now() + MINUTE)
    assert _answer(late, gone, good).batches == [1]
    assert [late.state, gone.state, good.state] == ["expired", "cancelled", "done"]
    assert late.error_code == "expired"


def test_one_bad_picture_fails_alone(queue: Queue) -> None:
    bad, good = _queued(content=picture("JPEG")[:-40]), _queued()
    assert _answer(bad, good).batches == [2]
    assert [bad.state, bad.error_code, good.state] == ["failed", "truncated", "done"]
    assert bad.error


def test_one_missing_file_fails_alone(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = _queued(1), _queued(2)
    Path(bad.image.file.path).unlink()
    _answer(bad, good)
    assert [bad.state, bad.error_code, good.state] == ["failed", "classification-failed", "done"]
    assert bad.image.sha256 not in bad.error and bad.image.sha256 in caplog.text  # the path is in the log only


@pytest.mark.parametrize("where", ["engine", "database"])
def test_a_batch_that_raises_can_be_retried(queue: Queue, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _queued(1), _queued(2)
    classifier = FakeClassifier()
    if where == "engine":
        classifier.raises = RuntimeError("broken")
    else:
        monkeypatch.setattr(FakeClassifier, "version", "")  # violates a constraint of the row
    with pytest.raises((RuntimeError, IntegrityError)):
        _answer(first, second, classifier=classifier)
    for prediction in (first, second):
        prediction.refresh_from_db()
        assert prediction.is_waiting and prediction.label == ""
    monkeypatch.undo()
    classifier.raises = None
    _answer(first, second, classifier=classifier)
    assert [first.state, second.state] == ["done", "done"]


@pytest.fixture
def receiver() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Connects a function to the signal `answered` until the end of the test."""
    connected: list[Callable[..., None]] = []

    def connect(act: Callable[[], object]) -> None:
        def receive(**_arguments: object) -> None:
            act()

        connected.append(receive)
        answered.connect(receive)

    yield connect
    for receive in connected:
        answered.disconnect(receive)


def _break_a_constraint() -> None:
    Prediction.objects.update(score=7)


def _break_a_constraint_and_say_nothing() -> None:
    with contextlib.suppress(DatabaseError):
        _break_a_constraint()


def _raise(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


ERRORS = {
    "any error": _raise(KeyError("no such row")),
    "time-out": _raise(JobTimeoutException("too long")),
    "rejection": _raise(RequestRejected("decided", "Too late.")),
    "database": _break_a_constraint,
}


@pytest.mark.parametrize("act", ERRORS.values(), ids=ERRORS.keys())
def test_receiver_that_raises_does_not_keep_answers_from_being_stored(
    act: Callable[[], None],
    queue: Queue,
    receiver: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    announced: list[object] = []
    monkeypatch.setattr(announcements, "announce", announced.extend)
    receiver(act)
    first, second = _queued(1), _queued(2)
    _answer(first, second)
    assert [first.state, second.state] == ["done", "done"]
    assert set(announced) == {first.id, second.id}
    assert caplog.text.count("A receiver of 2 answers raised") == 1
    assert "Traceback" in caplog.text


def test_receiver_that_hides_a_database_error_does_not_lose_answers(
    queue: Queue, receiver: Callable[[Callable[[], object]], None]
) -> None:
    receiver(_break_a_constraint_and_say_nothing)
    prediction = _queued()
    _answer(prediction)
    assert prediction.state == "done"


def test_answers_that_a_receiver_has_rolled_back_are_tried_again(
    queue: Queue, receiver: Callable[[Callable[[], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost connection takes the answers with it. They must not be announced."""
    announced: list[object] = []
    monkeypatch.setattr(announcements, "announce", announced.extend)

    def lose_the_connection() -> None:
        # What Django does when it cannot roll back to a savepoint.
        monkeypatch.setattr(connection, "savepoint_rollback", lambda _id: _raise(DatabaseError("gone"))())
        raise OperationalError("gone")

    receiver(lose_the_connection)
    with pytest.raises(OperationalError):
        _answer(_queued())
    assert announced == []


def test_fails_only_waiting_predictions(queue: Queue) -> None:
    waiting, done = _queued(1), stored_prediction()
    answering.predictions_fail([waiting.id, done.id], RuntimeError("secret detail"))
    waiting.refresh_from_db()
    done.refresh_from_db()
    assert [waiting.state, done.state] == ["failed", "done"]
    assert waiting.error == "The picture could not be classified (RuntimeError)."
