"""Everything that changes an export. Admin and worker come through here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, close_old_connections, transaction
from django.utils import timezone
from rq.job import JobStatus
from rq.timeouts import JobTimeoutException

from learning.datasets import queue, writing
from learning.datasets.selection import Selection
from learning.models import Export, ExportQuerySet
from predictions import queues
from predictions.exceptions import RequestRejected

logger = logging.getLogger(__name__)

REPORT_SECONDS = 1  # how often a worker writes down how far it is
GIVE_UP_AFTER = timedelta(days=1)

UNREACHABLE = "The queue could not be reached. Please ask for it again in a moment."
UNEXPECTED = "Something went wrong that should not have ({what}); the log has the details."


# --- Asking ---------------------------------------------------------------------------------------


def export_request(*, selection: Selection, format: str, requested_by: User) -> Export:
    """Queues a data set. If the queue cannot be reached, what comes back has failed and says so.

    Raises `RequestRejected`: `nothing-to-export`; `asked-for-already`, while the same one is still being made.
    """
    size = selection.size()
    if not size.cases:
        raise RequestRejected("nothing-to-export", "No decided case fits this selection.")
    if Export.objects.waiting().filter(format=format, selection=selection.as_json()).exists():
        raise RequestRejected("asked-for-already", "This data set is being made already.", status=409)
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
    ours = _Ours(export, started_at, is_stopping)
    try:
        export.path.parent.mkdir(exist_ok=True)
        writing.remove_drafts(export.path)  # of a worker that was killed
        selection = Selection.from_json(export.selection)
        with writing.draft(selection, export.format, export.path, ours.report) as draft:
            ours.settle_done(draft)
    except Stopped:
        ours.give_back()
        raise
    except _NotOurs:
        logger.warning("Export %s is not this worker's any more.", export_id)
    except writing.NothingToExport:
        ours.settle_failed("No decided case is in this selection any more.")
    except OSError as error:
        why = str(error.strerror or error).rstrip(".")
        if ours.settle_failed(f"It could not be written: {why}. Nothing of it was kept."):
            logger.exception("Export %s could not be written.", export_id)
    except JobTimeoutException:
        ours.settle_failed(f"It took longer than {queue.TIMEOUT // 3600} hours. Select less at a time.")


class _Ours:
    """An export as long as it is this worker's: who takes it over starts it anew, and at another moment."""

    def __init__(self, export: Export, started_at: datetime, is_stopping: Callable[[], bool]) -> None:
        self._path = export.path
        self._row = Export.objects.filter(pk=export.pk, state=Export.State.RUNNING, started_at=started_at)
        self._is_stopping = is_stopping
        self._next_at = 0.0

    def report(self, progress: writing.Progress) -> None:
        """Writes down how far it is, now and then. Raises `Stopped` or `_NotOurs` where the writing is to end."""
        if self._is_stopping():
            raise Stopped
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + REPORT_SECONDS
        close_old_connections()  # a database that was restarted meanwhile is met with a new connection
        try:
            updated = self._row.update(total=progress.total, done=progress.done, missing=progress.missing)
        except DatabaseError as error:
            logger.warning("How far an export is could not be written down: %s", error)
            return
        if not updated:
            raise _NotOurs

    def settle_done(self, draft: writing.Draft) -> None:
        """Row and file in one step: while the row is held, nobody can delete the export or take it over."""
        close_old_connections()
        written = draft.written
        with transaction.atomic():
            settled = self._row.update(
                state=Export.State.DONE,
                total=written.counts.cases,
                done=written.counts.cases,
                missing=written.counts.missing,
                byte_size=written.byte_size,
                sha256=written.sha256,
                finished_at=timezone.now(),
            )
            if not settled:
                raise _NotOurs
            draft.publish()

    def settle_failed(self, error: str) -> bool:
        return _fail(self._row, self._path, error)

    def give_back(self) -> None:
        """It waits for the next worker, and looks like it."""
        try:
            self._row.update(state=Export.State.QUEUED, started_at=None, done=0, missing=0)
        except DatabaseError as error:  # it only looks as if somebody was at it
            logger.warning("That an export waits again could not be written down: %s", error)


def exports_fail(export_ids: Iterable[UUID], error: str) -> None:
    """Gives up on these exports, where they still wait."""
    for export in Export.objects.waiting().filter(pk__in=list(export_ids)):
        _fail(Export.objects.waiting().filter(pk=export.pk), export.path, error)


def _fail(row: ExportQuerySet, path: Path, error: str) -> bool:
    with transaction.atomic():
        failed = row.update(state=Export.State.FAILED, error=error[:500], finished_at=timezone.now())
        if failed:
            # There is one only if a worker was killed between putting it there and saying so.
            path.unlink(missing_ok=True)
    return bool(failed)


# --- Looking after --------------------------------------------------------------------------------


def export_delete(export: Export) -> None:
    """Deletes an export and its file. A worker that is writing it notices, and stops."""
    with transaction.atomic():
        # While the row is held, no worker can put a file there. If all ends between the two steps, the row is still
        # there to say that the file is gone: better than a file that nobody knows of.
        for locked in Export.objects.select_for_update().filter(pk=export.pk):
            locked.path.unlink(missing_ok=True)
            locked.delete()


def exports_tidy() -> int:
    """Removes the drafts that killed workers have left behind of exports that nobody writes now. How many there were.

    Raises `OSError` if one cannot be removed.
    """
    # First the files: a draft that is there already, and in use, has a row that says so.
    left = [(name, file) for name, file in writing.drafts(Path(settings.EXPORTS_DIR)) if _is_own_name(name)]
    if not left:
        return 0
    running = {export.path.name for export in Export.objects.filter(state=Export.State.RUNNING)}
    abandoned = [file for name, file in left if name not in running]
    for file in abandoned:
        file.unlink(missing_ok=True)
    return len(abandoned)


def _is_own_name(name: str) -> bool:
    """Not so what `manage.py export_cases` was told to write into this folder."""
    stem, _, suffix = name.partition(".")
    try:
        return suffix == "zip" and str(UUID(stem)) == stem
    except ValueError:
        return False


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
