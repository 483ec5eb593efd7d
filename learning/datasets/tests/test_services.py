"""Asking for an export, and what becomes of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone
from rq import Queue
from rq.job import Job
from rq.timeouts import JobTimeoutException

from learning.datasets import queue, services, writing
from learning.datasets.pictures import stored_picture
from learning.datasets.selection import Selection
from learning.datasets.services import export_delete, export_request, export_write
from learning.datasets.tests.data import (
    EVERYTHING,
    decided_case,
    done_export,
    kept_files,
    lead_named,
    manifest,
    queued_export,
)
from learning.models import Export, ExportQuerySet
from predictions.exceptions import RequestRejected
from worker.inference.repository.files import sha256_of

# Commits are what some of it is about, and a worker looks after its connection, which a test's transaction forbids.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def three() -> None:
    for _ in range(3):
        decided_case("cup")


@pytest.fixture
def reports_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "REPORT_SECONDS", 0)


def _at_picture(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], Any]) -> None:
    """Something happens in the moment in which a worker reads its picture of that number."""
    seen = []

    def read(name: str, digest: str) -> Any:
        seen.append(name)
        if len(seen) == number:
            act()
        return stored_picture(name, digest)

    monkeypatch.setattr(writing, "stored_picture", read)


def _at_the_end(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Something happens when all is written, and nobody looks any more whether to go on."""

    def hashed(path: Path) -> str:
        act()
        return sha256_of(path)

    monkeypatch.setattr(writing, "sha256_of", hashed)


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


# --- Asking ---------------------------------------------------------------------------------------


def test_it_works(exports: Queue, three: None) -> None:
    with transaction.atomic():
        export = export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
        assert exports.job_ids == [], "before the commit no worker would find it"
    assert (export.state, export.total, export.done) == ("queued", 3, 0)
    assert exports.job_ids == [str(export.pk)]

    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.total, export.done, export.missing, export.error) == ("done", 3, 3, 0, "")
    assert export.started_at and export.finished_at and export.started_at < export.finished_at
    assert (export.byte_size, export.sha256) == (
        export.path.stat().st_size,
        sha256(export.path.read_bytes()).hexdigest(),
    )
    assert len(manifest(export.path)) == 3
    assert kept_files() == [export.path.name]


def test_nothing_to_export() -> None:
    with pytest.raises(RequestRejected) as caught:
        export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    assert caught.value.code == "nothing-to-export" and not Export.objects.exists()


def test_asked_for_twice(exports: Queue, three: None) -> None:
    first = export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    with pytest.raises(RequestRejected) as caught:
        export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named("lou"))
    assert caught.value.code == "asked-for-already"
    export_request(selection=EVERYTHING, format="tfrecord", requested_by=lead_named())
    export_request(selection=Selection(labels=("cup",)), format="imagefolder", requested_by=lead_named())
    services.exports_fail([first.pk], "a test")
    export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    assert Export.objects.count() == 4


def test_no_queue(no_queue: None, three: None) -> None:
    export = export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    assert (export.state, export.error) == ("failed", services.UNREACHABLE)


# --- Writing --------------------------------------------------------------------------------------


def test_what_has_settled_is_left_alone(three: None) -> None:
    done, failed = done_export(), queued_export(state="failed", error="a test")
    for export in (done, failed):
        export_write(export.pk)
    assert done.path.read_bytes() == b"an archive" and kept_files() == [done.path.name]
    assert Export.objects.get(pk=failed.pk).state == "failed"


def test_it_says_how_far_it_is(three: None, reports_always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    seen: list[Any] = []
    _at_picture(monkeypatch, 3, lambda: seen.extend(Export.objects.values_list("state", "total", "done")))
    export_write(export.pk)
    assert seen == [("running", 3, 2)]


def test_pictures_that_are_missing_are_counted(three: None) -> None:
    Path(decided_case("cup").image.file.path).unlink()
    export = queued_export()
    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.total, export.missing) == ("done", 4, 1)
    assert export.progress_text == "4 cases; 1 pictures are missing"


def test_nothing_left_to_export() -> None:
    export = queued_export()
    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.error) == ("failed", "No decided case is in this selection any more.")


def test_a_full_disk(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    export_write(export.pk)
    export.refresh_from_db()
    assert export.state == "failed" and export.finished_at
    assert "It could not be written: It needs at least" in export.error and "1.0 kB are free in" in export.error
    assert export.error.endswith(". Nothing of it was kept.")
    assert kept_files() == []


def test_too_slow(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    _at_picture(monkeypatch, 2, _raise(JobTimeoutException("a test")))
    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.error) == ("failed", "It took longer than 6 hours. Select less at a time.")
    assert kept_files() == []


def test_something_unexpected_is_tried_again(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    with monkeypatch.context() as patch:
        _at_picture(patch, 2, _raise(RuntimeError("a test")))
        with pytest.raises(RuntimeError):
            export_write(export.pk)
    assert Export.objects.waiting().get() == export and kept_files() == []
    export_write(export.pk)
    assert Export.objects.get().is_done


def test_stopped(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    stopping: list[bool] = []
    _at_picture(monkeypatch, 2, lambda: stopping.append(True))
    with pytest.raises(services.Stopped):
        export_write(export.pk, is_stopping=lambda: bool(stopping))
    export.refresh_from_db()
    assert (export.state, export.done, export.started_at) == ("queued", 0, None)
    assert kept_files() == []


def test_no_database_for_a_moment(three: None, reports_always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """How far it is cannot be written down: that is no reason to give up an export of hours."""
    export = queued_export()
    update = ExportQuerySet.update

    def fails(self: ExportQuerySet, **columns: Any) -> int:
        if set(columns) == {"total", "done", "missing"}:
            raise OperationalError("a test")
        return int(update(self, **columns))

    monkeypatch.setattr(ExportQuerySet, "update", fails)
    export_write(export.pk)
    assert Export.objects.get().is_done


@pytest.mark.parametrize("at", ["a picture", "the end"])
def test_deleted_while_it_is_written(
    at: str, three: None, reports_always: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = queued_export()

    def delete() -> None:
        export_delete(Export.objects.get())

    if at == "a picture":
        _at_picture(monkeypatch, 2, delete)
    else:
        _at_the_end(monkeypatch, delete)
    export_write(export.pk)
    assert kept_files() == [] and not Export.objects.exists()


def test_taken_over_by_another_worker(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was thought dead, and was not, puts nothing in the place of what the other one has written."""
    export = queued_export()

    def take_over() -> None:
        decided_case("tabby")
        with monkeypatch.context() as patch:
            patch.setattr(writing, "sha256_of", sha256_of)
            export_write(export.pk)

    _at_the_end(monkeypatch, take_over)
    # What the dead leave behind is removed by who takes over; this one is alive, and still needs its draft.
    monkeypatch.setattr(writing, "remove_drafts", lambda _path: None)
    export_write(export.pk)
    export.refresh_from_db()
    assert export.total == len(manifest(export.path)) == 4
    assert export.is_done and export.sha256 == sha256(export.path.read_bytes()).hexdigest()
    assert kept_files() == [export.path.name]


def test_whose_draft_is_gone_fails_nobody_elses(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()

    def take_over() -> None:
        Export.objects.update(started_at=timezone.now())
        writing.remove_drafts(export.path)

    _at_picture(monkeypatch, 2, take_over)
    export_write(export.pk)
    assert Export.objects.get().state == "running" and kept_files() == []


def test_a_file_without_its_row_is_not_kept(three: None) -> None:
    """A worker was killed after it had put the file there and before it could say so; then all goes wrong."""
    export = queued_export(state="running")
    export.path.parent.mkdir()
    export.path.touch()
    services.exports_fail([export.pk], "x" * 600)
    export.refresh_from_db()
    assert (export.state, export.error) == ("failed", "x" * 500)
    assert kept_files() == []


# --- Looking after --------------------------------------------------------------------------------


def test_delete() -> None:
    export, other = done_export(), done_export()
    export_delete(export)
    assert list(Export.objects.all()) == [other] and kept_files() == [other.path.name]
    other.path.unlink()
    export_delete(other)
    assert not Export.objects.exists()


def test_drafts_of_the_dead_are_swept_up() -> None:
    done, running = done_export(), queued_export(state="running")
    folder = done.path.parent
    stays = [
        f".{running.pk}.zip.01234567.part",
        ".mine.zip.01234567.part",  # of `manage.py export_cases`, which may be at it
        f".{done.pk}.zip.notes",
        f".{done.pk}.zip.part",
    ]
    goes = [
        f".{done.pk}.zip.01234567.part",
        f".{done.pk}.zip.01234567.part.records",
        ".9a3b5c72-54f7-4c11-9c62-0a2d1d0c4a36.zip.01234567.part",  # of one that was deleted
    ]
    for name in (*stays, *goes):
        folder.joinpath(name).touch()
    assert services.exports_tidy() == 3
    assert kept_files() == sorted([done.path.name, *stays])


@pytest.mark.parametrize(
    ("status", "age", "recovered", "state"),
    [
        (None, timedelta(minutes=1), 1, "queued"),
        (None, timedelta(seconds=1), 0, "queued"),
        (None, timedelta(days=2), 1, "queued"),
        ("queued", timedelta(days=2), 0, "queued"),
        ("started", timedelta(days=2), 0, "queued"),
        ("failed", timedelta(minutes=1), 1, "queued"),
        ("failed", timedelta(days=2), 0, "failed"),
        ("stopped", timedelta(minutes=1), 0, "failed"),
        ("canceled", timedelta(minutes=1), 0, "failed"),
    ],
)
def test_recovery(exports: Queue, status: str | None, age: timedelta, recovered: int, state: str) -> None:
    export = queued_export(created_at=timezone.now() - age)
    if status:
        queue.enqueue(export.pk)
        exports.connection.hset(Job.key_for(str(export.pk)), "status", status)
        exports.connection.delete(exports.key)
    assert services.exports_recover(older_than=timedelta(seconds=10)) == recovered
    assert exports.job_ids == [str(export.pk)] * recovered
    assert Export.objects.get().state == state


def test_recovery_of_what_has_settled(exports: Queue) -> None:
    done_export(created_at=timezone.now() - timedelta(days=1))
    assert services.exports_recover(older_than=timedelta(0)) == 0
