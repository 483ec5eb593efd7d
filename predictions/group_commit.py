"""Taking requests in: rows and jobs of all that arrive at the same moment, written together.

A database commits one transaction of ten rows in little more time than one of a single row, and so does the queue. So
requests that meet here go in together, as the commits of many clients do in a database: whoever comes first writes for
all that have arrived, and the others find their own done. Who writes waits a few milliseconds for requests that are on
their way here already; where there are none, for nobody.
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

from predictions import announcements, classifiers, queues, request_ids
from predictions.admission import backpressure
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.uploads import validation as images

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Arrival:
    """`turn` is set when it is done, or has to write for itself and all that have arrived by then."""

    prediction: Prediction
    image: Image
    request_id: str = field(default_factory=request_ids.current)
    turn: threading.Event = field(default_factory=threading.Event)
    is_done: bool = False
    error: Exception | None = None


# A bound for the wait of one request for others. At a hundred requests a second ten of them meet within it.
GATHER_SECONDS = 0.02
GATHER_AT_MOST = 32


class Intake:
    """Gives predictions their rows and their jobs."""

    def __init__(self) -> None:
        self._on_the_way = 0
        self._arrived: list[_Arrival] = []
        self._is_writing = False
        self._changed = threading.Condition()  # guards the three above; who writes waits for it

    @contextmanager
    def coming(self) -> Iterator[None]:
        """While a request is on its way to `accept`; leave before that is called."""
        with self._changed:
            self._on_the_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._on_the_way -= 1
                self._changed.notify()

    def accept(self, prediction: Prediction, image: Image) -> None:
        """Returns when the prediction is recorded and queued, or answered already.

        Raises `RequestRejected` if it cannot be queued, and what the database raises if it cannot be recorded.
        """
        arrival = _Arrival(prediction, image)
        bind_contextvars(prediction=str(prediction.id))
        if connection.in_atomic_block:  # what others have to do with is none of this transaction's business
            self._record([arrival])
        else:
            with self._changed:
                self._arrived.append(arrival)
                has_to_wait, self._is_writing = self._is_writing, True
                self._changed.notify()
            if has_to_wait:
                arrival.turn.wait()
            if not arrival.is_done:
                self._write()
        if arrival.error is not None:
            raise arrival.error

    def _write(self) -> None:
        """Writes for all that have arrived; then it is the turn of the first that came meanwhile."""
        arrived: list[_Arrival] = []
        try:
            arrived = self._gather()
            self._record(arrived)
        finally:  # whatever happened, nobody may take it for a success, and nobody may be forgotten
            _settle([other for other in arrived if not other.is_done], RuntimeError("was not recorded"))
            with self._changed:
                self._is_writing = bool(self._arrived)
                successor = self._arrived[:1]
            for other in (*arrived, *successor):
                other.turn.set()

    def _gather(self) -> list[_Arrival]:
        with self._changed:
            self._changed.wait_for(
                lambda: not self._on_the_way or len(self._arrived) >= GATHER_AT_MOST, timeout=GATHER_SECONDS
            )
            arrived, self._arrived = self._arrived, []
            return arrived

    def _record(self, arrivals: Sequence[_Arrival], *, again: bool = True) -> None:
        try:
            with transaction.atomic():
                self._write_rows(arrivals)
        except (OperationalError, InterfaceError) as error:  # the database is not there, or locked: true of all of them
            _settle(arrivals, error)
            return
        except Exception as error:  # noqa: BLE001 - belongs to whoever asked, and not only to who writes
            self._record_alone(arrivals, error, again=again)
            return
        waiting = [arrival for arrival in arrivals if arrival.prediction.is_waiting]
        _settle([arrival for arrival in arrivals if arrival not in waiting])
        if waiting:
            # Only a committed row may be queued: a worker is often faster than the end of a transaction.
            transaction.on_commit(lambda: self._enqueue(waiting))

    def _record_alone(self, arrivals: Sequence[_Arrival], error: Exception, *, again: bool) -> None:
        """After a transaction that failed: one that was unacceptable must not take the others along."""
        for arrival in arrivals:
            arrival.image.pk = None  # the number that it got is free again, and another process may have it by now
        if len(arrivals) > 1:
            for arrival in arrivals:
                self._record([arrival])
        elif again and isinstance(error, IntegrityError):
            self._record(arrivals, again=False)  # another process has just recorded the same image
        else:
            _settle(arrivals, error)

    def _write_rows(self, arrivals: Sequence[_Arrival]) -> None:
        rows = images.record(arrival.image for arrival in arrivals)
        for arrival in arrivals:
            arrival.prediction.image = rows[arrival.image.sha256]
        if settings.REUSE_ANSWERS:
            known = [arrival.prediction for arrival in arrivals if rows[arrival.image.sha256] is not arrival.image]
            _reuse_answers(known)
        Prediction.objects.bulk_create(arrival.prediction for arrival in arrivals)

    def _enqueue(self, arrivals: Sequence[_Arrival]) -> None:
        ids = [arrival.prediction.id for arrival in arrivals]
        try:
            queues.enqueue(
                *map(str, ids), request_ids={str(other.prediction.id): other.request_id for other in arrivals}
            )
        except redis.RedisError as error:
            logger.exception("Could not queue %d predictions.", len(ids))
            refusal = RequestRejected(
                Prediction.QUEUE_UNAVAILABLE,
                "The queue cannot be reached. Please try again in a moment.",
                status=503,
                retry_after=5,
            )
            refusal.__cause__ = error
            Prediction.objects.waiting().filter(pk__in=ids).update(
                state=Prediction.State.FAILED,
                error_code=refusal.code,
                error=refusal.message,
                finished_at=timezone.now(),
            )
            announcements.announce(dict.fromkeys(ids))
            _settle(arrivals, refusal)
        else:
            backpressure.load.add_enqueued(len(ids))
            _settle(arrivals)


def _settle(arrivals: Sequence[_Arrival], error: Exception | None = None) -> None:
    for arrival in arrivals:
        arrival.error = error
        arrival.is_done = True


def _reuse_answers(predictions: Sequence[Prediction]) -> None:
    """Answers those whose image the active model version has answered before. It would say the same again."""
    version = classifiers.active_name() if predictions else ""
    if not version:
        return
    # One answer for each image, whichever is found first: of a popular picture there are as many as it was sent.
    done = Prediction.objects.filter(image=OuterRef("pk"), state=Prediction.State.DONE, model_version=version)
    seen = Image.objects.filter(pk__in={prediction.image_id for prediction in predictions})
    one_each = Prediction.objects.filter(pk__in=seen.values_list(Subquery(done.order_by().values("pk")[:1])))
    answers = {earlier.image_id: earlier for earlier in one_each.only(*_REUSED, "image_id")}
    for prediction in predictions:
        if earlier := answers.get(prediction.image_id):
            for column in _REUSED:
                setattr(prediction, column, getattr(earlier, column))
            prediction.started_at = prediction.finished_at = timezone.now()


_REUSED = ("state", "label", "score", "top", "model_version")

intake = Intake()
