"""Everything that changes an export. Admin and worker come through here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

import redis
from django.contrib.auth.models import User
from django.db import DatabaseError, close_old_connections, transaction
from django.utils import timezone
from rq.job import JobStatus
from rq.timeouts import JobTimeoutException

from feedback.export import queue, writing
from feedback.export.selection import Selection
from feedback.models import Export
from predictions import queues
from predictions.refusals import Refusal

logger = logging.getLogger(__name__)

REPORT_SECONDS = 1  # how often a worker writes down how far it is
GIVE_UP_AFTER = timedelta(days=1)

UNREACHABLE = "The queue could not be reached. Please ask for it again in a moment."
UNEXPECTED = "Something went wrong that should not have ({what}); the log has the details."


# --- Asking ---------------------------------------------------------------------------------------


def export_request(*, selection: Selection, format: str, requested_by: User) -> Export:
    """Queues a data set. If the queue cannot be reached, what comes back has failed and says so.

    Raises `Refusal` `nothing-to-export`.
    """
    size = selection.size()
    if not size.cases:
        raise Refusal("nothing-to-export", "No decided case fits this selection.")
    with transaction.atomic():
        export = Export.objects.create(
            format=format, selection=selection.as_json(), requested_by=requested_by, total=size.cases
        )
        # Only a committed row may be queued: a worker is often faster than the end of a transaction.
        transaction.on_commit(lambda: _enqueue(export))
    return export


def _enqueue(export: Export) -> None:
    try:
        queue.enqueue(export.pk)
    except redis.RedisError:
        logger.exception("Could not queue export %s.", export.pk)
        exports_fail([export.pk], UNREACHABLE)
        export.refresh_from_db()


# --- Writing --------------------------------------------------------------------------------------


class Stopped(Exception):
    """The worker is to end. What it was writing is for another one, from the beginning."""


class _NotOurs(Exception):
    """The export was deleted meanwhile, or another worker has taken it over."""


def export_write(export_id: UUID, *, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Writes an export that still waits, and records what became of it.

    What cannot be helped by trying again (a full disk, an empty selection) fails the export. Raises `Stopped` once
    `is_stopping`, and anything unexpected; then the export still waits, and can be tried again.
    """
    started_at = timezone.now()
    waiting = Export.objects.waiting().filter(pk=export_id)
    if not waiting.update(state=Export.State.RUNNING, started_at=started_at, done=0, missing=0):
        return
    export = Export.objects.get(pk=export_id)
    report = _Reporter(export_id, started_at, is_stopping)
    try:
        export.path.parent.mkdir(exist_ok=True)
        writing.remove_drafts(export.path)  # of a worker that was killed
        written = writing.write(Selection.from_json(export.selection), export.format, export.path, report)
    except _NotOurs:
        logger.warning("Export %s is not this worker's any more.", export_id)
    except writing.NothingToExport:
        exports_fail([export_id], "No decided case is in this selection any more.")
    except OSError as error:
        logger.exception("Export %s could not be written.", export_id)
        exports_fail([export_id], f"It could not be written: {error.strerror or error} Nothing of it was kept.")
    except JobTimeoutException:
        exports_fail([export_id], f"It took longer than {queue.TIMEOUT // 3600} hours. Select less at a time.")
    else:
        _settle_done(export, report, written)


class _Reporter:
    """Writes down how far an export is, now and then; and ends it where it is to end."""

    def __init__(self, export_id: UUID, started_at: datetime, is_stopping: Callable[[], bool]) -> None:
        # Who takes an export over starts it anew, and at another moment.
        self.ours = Export.objects.filter(pk=export_id, state=Export.State.RUNNING, started_at=started_at)
        self._is_stopping = is_stopping
        self._next_at = 0.0

    def __call__(self, progress: writing.Progress) -> None:
        if self._is_stopping():
            raise Stopped
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + REPORT_SECONDS
        close_old_connections()  # a database that was restarted meanwhile is met with a new connection
        try:
            updated = self.ours.update(total=progress.total, done=progress.done, missing=progress.missing)
        except DatabaseError as error:
            logger.warning("How far an export is could not be written down: %s", error)
            return
        if not updated:
            raise _NotOurs


def _settle_done(export: Export, report: _Reporter, written: writing.Written) -> None:
    settled = report.ours.update(
        state=Export.State.DONE,
        total=written.counts.cases,
        done=written.counts.cases,
        missing=written.counts.missing,
        byte_size=written.byte_size,
        sha256=written.sha256,
        finished_at=timezone.now(),
    )
    if not settled and not Export.objects.filter(pk=export.pk).exists():
        export.path.unlink(missing_ok=True)  # deleted in the very last moment


def exports_fail(export_ids: Iterable[UUID], error: str) -> None:
    """Gives up on these exports, where they still wait."""
    Export.objects.waiting().filter(pk__in=list(export_ids)).update(
        state=Export.State.FAILED, error=error[:500], finished_at=timezone.now()
    )


# --- Looking after --------------------------------------------------------------------------------


def export_delete(export: Export) -> None:
    """Deletes an export and its file. A worker that is writing it notices, and stops."""
    path = export.path
    export.delete()

    def remove() -> None:
        path.unlink(missing_ok=True)
        writing.remove_drafts(path)

    transaction.on_commit(remove)


def exports_recover(*, older_than: timedelta) -> int:
    """Queues again what waits in the database but not in the queue, which can lose its memory. How many were.

    As `predictions_recover` does for predictions. Raises `redis.RedisError` if the queue cannot be reached.
    """
    now = timezone.now()
    rows = list(Export.objects.waiting().filter(created_at__lt=now - older_than).values_list("pk", "created_at"))
    if not rows:
        return 0
    statuses = queues.job_statuses([str(export_id) for export_id, _ in rows])
    recovered = 0
    for export_id, created_at in rows:
        status = statuses[str(export_id)]
        if status in queues.GIVEN_UP or (status == JobStatus.FAILED and created_at < now - GIVE_UP_AFTER):
            exports_fail([export_id], "It was given up by the queue.")
        elif status is None or status == JobStatus.FAILED:
            queue.enqueue(export_id)
            recovered += 1
    if recovered:
        logger.warning("Recovery: %d exports queued again.", recovered)
    return recovered
