"""All changes to exports. The admin and the worker call these functions."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import Error as DatabaseError
from django.db import close_old_connections, transaction
from django.utils import timezone
from rq.job import JobStatus
from rq.timeouts import JobTimeoutException

from learning.datasets import export_queue, writing
from learning.datasets.case_selection import CaseSelection, SelectionSize
from learning.models import Export, ExportQuerySet
from predictions import queues
from predictions.exceptions import RequestRejected

logger = logging.getLogger(__name__)

REPORT_SECONDS = 1  # between two updates of an export's progress
GIVE_UP_AFTER = timedelta(days=1)  # a failed job of an older export is not queued again

UNREACHABLE = "The queue cannot be reached. Please try again in a moment."
UNEXPECTED = "Unexpected error ({what}). The log has the details."


# --- Requesting -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExportPreview:
    """The size of a data set that nobody has requested yet, and the space for it on the disk."""

    size: SelectionSize
    free_bytes: int

    @property
    def fits(self) -> bool:
        return self.size.archive_bytes <= self.free_bytes


def export_preview(selection: CaseSelection) -> ExportPreview:
    return ExportPreview(selection.size(), shutil.disk_usage(Path(settings.EXPORTS_DIR).parent).free)


def export_request(*, selection: CaseSelection, format: str, requested_by: User) -> Export:
    """Creates an export and queues it. If the queue cannot be reached, the returned export has failed.

    Its labels are those of the version that is active now, unless the selection names another one. Raises
    `RequestRejected`: `nothing-to-export`, `unknown-version`, or `asked-for-already` while an equal export is in
    progress.
    """
    selection = selection.with_version()
    size = selection.size()
    if not size.cases:
        raise RequestRejected("nothing-to-export", "No decided case matches this selection.")
    if Export.objects.waiting().filter(format=format, selection=selection.as_json()).exists():
        raise RequestRejected("asked-for-already", "This data set is already being made.", status=409)
    with transaction.atomic():
        export = Export.objects.create(
            format=format, selection=selection.as_json(), requested_by=requested_by, total=size.cases
        )
        # Queue it after the commit: a worker may start the job before the transaction ends.
        transaction.on_commit(lambda: _enqueue(export))
    return export


def _enqueue(export: Export) -> None:
    try:
        export_queue.enqueue(export.pk)
    except redis.RedisError:
        logger.exception("Could not queue export %s.", export.pk)
        exports_fail([export.pk], UNREACHABLE)
        export.refresh_from_db()


# --- Writing --------------------------------------------------------------------------------------


class Stopped(Exception):
    """The worker has been asked to stop. Another worker starts the export again from the beginning."""


class _ClaimLost(Exception):
    """The export was deleted, or another worker has taken it over."""


def export_write(export_id: UUID, *, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Writes an unsettled export and records the outcome.

    Errors that a retry would not fix (a full disk, an empty selection, a removed version) fail the export. Raises
    `Stopped` once `is_stopping` returns true, and any unexpected error; the export stays unsettled then and can be
    retried.
    """
    started_at = timezone.now()
    waiting = Export.objects.waiting().filter(pk=export_id)
    if not waiting.update(state=Export.State.RUNNING, started_at=started_at, done=0, missing=0):
        return
    export = Export.objects.get(pk=export_id)
    claim = _ClaimedExport(export, started_at, is_stopping)
    try:
        export.path.parent.mkdir(exist_ok=True)
        writing.remove_drafts(export.path)  # left by a worker that was killed
        selection = CaseSelection.from_json(export.selection)
        with writing.draft(selection, export.format, export.path, claim.report) as draft:
            claim.settle_done(draft)
    except Stopped:
        claim.give_back()
        raise
    except _ClaimLost:
        logger.warning("Export %s no longer belongs to this worker.", export_id)
    except writing.NothingToExport:
        claim.settle_failed("This selection no longer matches any decided case.")
    except RequestRejected as rejection:
        claim.settle_failed(rejection.message)
    except OSError as error:
        why = str(error.strerror or error).rstrip(".")
        if claim.settle_failed(f"It could not be written: {why}. Nothing was kept."):
            logger.exception("Export %s could not be written.", export_id)
    except JobTimeoutException:
        claim.settle_failed(f"It took longer than {export_queue.TIMEOUT // 3600} hours. Select fewer cases.")


class _ClaimedExport:
    """An export that this worker is writing. A worker that takes it over sets another `started_at`."""

    def __init__(self, export: Export, started_at: datetime, is_stopping: Callable[[], bool]) -> None:
        self._path = export.path
        self._row = Export.objects.filter(pk=export.pk, state=Export.State.RUNNING, started_at=started_at)
        self._is_stopping = is_stopping
        self._next_at = 0.0

    def report(self, progress: writing.Progress) -> None:
        """Stores the progress at intervals. Raises `Stopped` or `_ClaimLost` to end the writing."""
        if self._is_stopping():
            raise Stopped
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + REPORT_SECONDS
        close_old_connections()  # the database may have restarted meanwhile
        try:
            updated = self._row.update(total=progress.total, done=progress.done, missing=progress.missing)
        except DatabaseError as error:
            logger.warning("Cannot store the progress of an export: %s", error)
            return
        if not updated:
            raise _ClaimLost

    def settle_done(self, draft: writing.FinishedDraft) -> None:
        """Settles row and file together: the locked row keeps others from deleting the export or taking it over."""
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
                raise _ClaimLost
            draft.publish()

    def settle_failed(self, error: str) -> bool:
        return _fail(self._row, self._path, error)

    def give_back(self) -> None:
        """Marks the export as queued again, for the next worker."""
        try:
            self._row.update(state=Export.State.QUEUED, started_at=None, done=0, missing=0)
        except DatabaseError as error:  # the row still says running, but the job is queued
            logger.warning("Cannot mark an export as queued again: %s", error)


def exports_fail(export_ids: Iterable[UUID], error: str) -> None:
    """Fails these exports, except those that have settled."""
    for export in Export.objects.waiting().filter(pk__in=list(export_ids)):
        _fail(Export.objects.waiting().filter(pk=export.pk), export.path, error)


def _fail(row: ExportQuerySet, path: Path, error: str) -> bool:
    with transaction.atomic():
        failed = row.update(state=Export.State.FAILED, error=error[:500], finished_at=timezone.now())
        if failed:
            # The file exists only if a worker was killed after publishing it and before the commit.
            path.unlink(missing_ok=True)
    return bool(failed)


# --- Maintenance ----------------------------------------------------------------------------------


def export_delete(export: Export) -> None:
    """Deletes an export and its file. A worker that is writing it stops."""
    with transaction.atomic():
        # The locked row keeps workers from publishing a file. A crash between the two steps leaves a row without a
        # file, which a lead sees and can delete, and not a file without a row.
        for locked in Export.objects.select_for_update().filter(pk=export.pk):
            locked.path.unlink(missing_ok=True)
            locked.delete()


def exports_tidy() -> int:
    """Removes drafts left by killed workers, except those of running exports. Returns their number.

    Raises `OSError` if one cannot be removed.
    """
    # List the files before the rows: the row of a draft in use was marked as running before the draft existed.
    found = [(name, file) for name, file in writing.drafts(Path(settings.EXPORTS_DIR)) if _is_export_name(name)]
    if not found:
        return 0
    running = {export.path.name for export in Export.objects.filter(state=Export.State.RUNNING)}
    abandoned = [file for name, file in found if name not in running]
    for file in abandoned:
        file.unlink(missing_ok=True)
    return len(abandoned)


def _is_export_name(name: str) -> bool:
    """Whether the name is an export's. `manage.py export_cases` may write other files to this folder."""
    stem, _, suffix = name.partition(".")
    try:
        return suffix == "zip" and str(UUID(stem)) == stem
    except ValueError:
        return False


def exports_recover(*, older_than: timedelta) -> int:
    """Queues unsettled exports again whose jobs the queue has lost, for example in a power cut. Returns their number.

    If the queue has given up on a job, its export fails. Raises `redis.RedisError` if the queue cannot be reached.
    """
    now = timezone.now()
    rows = list(Export.objects.waiting().filter(created_at__lt=now - older_than).values_list("pk", "created_at"))
    if not rows:
        return 0
    statuses = queues.job_statuses([str(export_id) for export_id, _ in rows], export_queue.queue())
    recovered = 0
    for export_id, created_at in rows:
        status = statuses[str(export_id)]
        if status in queues.GIVEN_UP or (status == JobStatus.FAILED.value and created_at < now - GIVE_UP_AFTER):
            exports_fail([export_id], "The queue gave up on it.")
        elif status is None or status == JobStatus.FAILED.value:
            queues.delete_jobs([str(export_id)])
            export_queue.enqueue(export_id)
            recovered += 1
    if recovered:
        logger.warning("Recovery: %d exports queued again.", recovered)
    return recovered
