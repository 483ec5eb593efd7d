"""Group commit: the rows and jobs of concurrent requests are written together.

A database commits one transaction of ten rows in little more time than one of a single row, and a queue behaves alike.
The first request becomes the leader and writes for all pending ones; the others wait until their predictions are
written. The leader waits a few milliseconds for requests that are still reading their upload, and not at all if there
are none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from structlog.contextvars import bind_contextvars

from predictions import classifiers, precision, queues, request_ids
from predictions.admission import backpressure
from predictions.exceptions import RequestRejected, unavailable
from predictions.models import Image, Prediction
from predictions.uploads import validation as images

logger = logging.getLogger(__name__)

# The longest wait of a leader for other requests. At a hundred requests per second, two of them come within it.
GATHER_SECONDS = 0.02
GATHER_AT_MOST = 32

DATABASE_AWAY = (OperationalError, InterfaceError)


@dataclass(eq=False)
class PendingWrite:
    """One prediction to write. `wake` is set when it is done, or when its request becomes the leader."""

    prediction: Prediction
    image: Image
    request_id: str = field(default_factory=request_ids.current)
    wake: threading.Event = field(default_factory=threading.Event)
    is_done: bool = False
    error: Exception | None = None


class GroupCommit:
    """Writes predictions to the database and the queue, those of concurrent requests together."""

    def __init__(self) -> None:
        self._expected = 0
        self._pending: list[PendingWrite] = []
        self._has_leader = False
        self._changed = threading.Condition()  # guards the three above; the leader waits for it

    @contextmanager
    def expect_write(self) -> Iterator[None]:
        """Announces a call of `write`, so that the leader waits for it. Leave the context before that call."""
        with self._changed:
            self._expected += 1
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1
                self._changed.notify()

    def write(self, prediction: Prediction, image: Image) -> None:
        """Returns when the prediction is stored and queued, or answered from an earlier one.

        Raises `RequestRejected` if it cannot be queued, and the database's error if it cannot be stored.
        """
        write = PendingWrite(prediction, image)
        bind_contextvars(prediction=str(prediction.id))
        if connection.in_atomic_block:  # the caller may roll back, and other requests must not depend on that
            self._commit([write])
        else:
            with self._changed:
                self._pending.append(write)
                is_follower, self._has_leader = self._has_leader, True
                self._changed.notify()
            if is_follower:
                write.wake.wait()
            if not write.is_done:
                self._lead()
        if write.error is not None:
            raise write.error

    def _lead(self) -> None:
        """Writes all pending predictions. The first request that came meanwhile becomes the next leader."""
        writes: list[PendingWrite] = []
        failure: Exception = RuntimeError("the prediction was not stored")
        try:
            writes = self._gather()
            self._commit(writes)
            for error in {write.error for write in writes if isinstance(write.error, DATABASE_AWAY)}:
                failure = error
                writes += self._take_pending()  # they would wait just as long, in vain
        except Exception as error:
            failure = error
            raise
        finally:  # after any exception: no write may pass for a success, and no request may wait forever
            _finish([write for write in writes if not write.is_done], failure)
            with self._changed:
                self._has_leader = bool(self._pending)
                next_leader = self._pending[:1]
            for write in (*writes, *next_leader):
                write.wake.set()

    def _gather(self) -> list[PendingWrite]:
        with self._changed:
            self._changed.wait_for(
                lambda: not self._expected or len(self._pending) >= GATHER_AT_MOST, timeout=GATHER_SECONDS
            )
            return self._take_pending()

    def _take_pending(self) -> list[PendingWrite]:
        with self._changed:
            writes, self._pending = self._pending, []
            return writes

    def _commit(self, writes: Sequence[PendingWrite], *, retry: bool = True) -> None:
        try:
            with transaction.atomic():
                self._insert(writes)
        except DATABASE_AWAY as error:  # or locked: the same for all
            _finish(writes, error)
            return
        except Exception as error:  # noqa: BLE001 - belongs to the request that caused it, not only to the leader
            self._commit_one_by_one(writes, error, retry=retry)
            return
        waiting = [write for write in writes if write.prediction.is_waiting]
        _finish([write for write in writes if write not in waiting])
        if waiting:
            # Only a committed row may be queued: a worker is often faster than the end of a transaction.
            transaction.on_commit(lambda: self._enqueue(waiting))

    def _commit_one_by_one(self, writes: Sequence[PendingWrite], error: Exception, *, retry: bool) -> None:
        """Repeats a failed transaction for each write, so that one bad row fails alone."""
        for write in writes:
            write.image.pk = None  # the key was rolled back, and another process may use it by now
        if len(writes) > 1:
            for write in writes:
                self._commit([write])
        elif retry and isinstance(error, IntegrityError):
            self._commit(writes, retry=False)  # another process has just stored the same image
        else:
            _finish(writes, error)

    def _insert(self, writes: Sequence[PendingWrite]) -> None:
        rows = images.record(write.image for write in writes)
        for write in writes:
            write.prediction.image = rows[write.image.sha256]
            if write.prediction.image is write.image:
                _require_file(write.image)
        if settings.REUSE_ANSWERS:
            known = [write.prediction for write in writes if rows[write.image.sha256] is not write.image]
            _reuse_answers(known)
        Prediction.objects.bulk_create(write.prediction for write in writes)

    def _enqueue(self, writes: Sequence[PendingWrite]) -> None:
        ids = [write.prediction.id for write in writes]
        try:
            queues.enqueue(*map(str, ids), request_ids={str(write.prediction.id): write.request_id for write in writes})
        except redis.RedisError as error:
            logger.error("Could not queue %d predictions: %s", len(ids), error)
            rejection = unavailable("queue")
            rejection.__cause__ = error
            Prediction.objects.waiting().filter(pk__in=ids).update(
                state=Prediction.State.FAILED,
                error_code=rejection.code,
                error=rejection.message,
                finished_at=timezone.now(),
            )
            _finish(writes, rejection)  # nobody else waits for these predictions yet
        else:
            backpressure.load.add_enqueued(len(ids))
            _finish(writes)


def _require_file(image: Image) -> None:
    """Raises `RequestRejected` `busy` if the file of a new image was removed after this request had found it stored.

    That happens if the same picture is erased at this moment. No other transaction can erase this new row.
    """
    if not image.file.storage.exists(str(image.file.name)):
        message = "This picture was being erased at the same moment. Please send it again."
        raise RequestRejected("busy", message, status=503, retry_after=1)


def _finish(writes: Sequence[PendingWrite], error: Exception | None = None) -> None:
    for write in writes:
        write.error = error
        write.is_done = True


def _reuse_answers(predictions: Sequence[Prediction]) -> None:
    """Answers the predictions whose image the active model version has classified before.

    Answers of another precision than `PRECISION` names are left alone. `auto` names none: it takes answers in bf16 if a
    measurement has found them practically the same, and all others.
    """
    version = classifiers.active_name() if predictions else ""
    if not version:
        return
    # One answer for each image, in any order: a popular image has as many equal answers as it has predictions.
    done = Prediction.objects.filter(image=OuterRef("pk"), state=Prediction.State.DONE, model_version=version)
    if settings.PRECISION != precision.AUTO:
        done = done.filter(precision__in=(settings.PRECISION, precision.INT8))
    elif not precision.bf16_was_chosen(version):
        done = done.exclude(precision=precision.BF16)
    seen = Image.objects.filter(pk__in={prediction.image_id for prediction in predictions})
    one_each = Prediction.objects.filter(pk__in=seen.values_list(Subquery(done.order_by().values("pk")[:1])))
    answers = {earlier.image_id: earlier for earlier in one_each.only(*_REUSED, "image_id")}
    for prediction in predictions:
        if earlier := answers.get(prediction.image_id):
            for column in _REUSED:
                setattr(prediction, column, getattr(earlier, column))
            prediction.started_at = prediction.finished_at = timezone.now()


_REUSED = ("state", "label", "score", "top", "model_version", "precision")

writer = GroupCommit()
