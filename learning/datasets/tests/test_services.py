"""Requesting, writing, deleting and recovering exports."""

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
from pytest_django import Settings
from rq import Queue
from rq.job import Job
from rq.timeouts import JobTimeoutException

from learning.datasets import export_queue, services, writing
from learning.datasets.case_selection import CaseSelection
from learning.datasets.pictures import stored_picture
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
from review.tests.label_versions import install
from worker.inference.repository import Repository
from worker.inference.repository.files import sha256_of

# Some tests are about commits, and a worker closes its connection, which a test's transaction would not allow.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def three_cases() -> None:
    for _ in range(3):
        decided_case("cup")


@pytest.fixture
def no_report_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "REPORT_SECONDS", 0)


def _at_picture(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], Any]) -> None:
    """Calls `act` when a worker reads its picture number `number`, counted from 1."""
    seen = []

    def read(name: str, digest: str) -> Any:
        seen.append(name)
        if len(seen) == number:
            act()
        return stored_picture(name, digest)

    monkeypatch.setattr(writing, "stored_picture", read)


def _at_the_end(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Calls `act` when the archive is complete and no more progress is reported."""

    def hashed(path: Path) -> str:
        act()
        return sha256_of(path)

    monkeypatch.setattr(writing, "sha256_of", hashed)


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


# --- Requesting -----------------------------------------------------------------------------------


def test_requests_and_writes_an_export(exports: Queue, three_cases: None) -> None:
    with transaction.atomic():
        export = export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
        assert exports.job_ids == [], "no worker would find the row before the commit"
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


def test_rejects_a_selection_without_cases() -> None:
    with pytest.raises(RequestRejected) as caught:
        export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    assert caught.value.code == "nothing-to-export" and not Export.objects.exists()


def test_rejects_equal_export_in_progress(exports: Queue, three_cases: None) -> None:
    first = export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    with pytest.raises(RequestRejected) as caught:
        export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named("lou"))
    assert caught.value.code == "asked-for-already"
    export_request(selection=EVERYTHING, format="tfrecord", requested_by=lead_named())
    export_request(selection=CaseSelection(labels=("cup",)), format="imagefolder", requested_by=lead_named())
    services.exports_fail([first.pk], "a test")
    export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    assert Export.objects.count() == 4


def test_export_fails_if_the_queue_is_unreachable(no_queue: None, three_cases: None) -> None:
    export = export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    assert (export.state, export.error) == ("failed", services.UNREACHABLE)


# --- Writing --------------------------------------------------------------------------------------


def test_does_not_write_a_settled_export(three_cases: None) -> None:
    done, failed = done_export(), queued_export(state="failed", error="a test")
    for export in (done, failed):
        export_write(export.pk)
    assert done.path.read_bytes() == b"an archive" and kept_files() == [done.path.name]
    assert Export.objects.get(pk=failed.pk).state == "failed"


def test_stores_the_progress(three_cases: None, no_report_interval: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    seen: list[Any] = []
    _at_picture(monkeypatch, 3, lambda: seen.extend(Export.objects.values_list("state", "total", "done")))
    export_write(export.pk)
    assert seen == [("running", 3, 2)]


def test_counts_missing_pictures(three_cases: None) -> None:
    Path(decided_case("cup").image.file.path).unlink()
    export = queued_export()
    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.total, export.missing) == ("done", 4, 1)
    assert export.progress_text == "4 cases; 1 picture missing"


def test_export_fails_if_no_case_is_left() -> None:
    export = queued_export()
    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.error) == ("failed", "This selection no longer matches any decided case.")


def test_export_fails_if_its_model_version_was_removed(settings: Settings, tmp_path: Path, exports: Queue) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    repository.activate(str(install(repository, "a", "1 cup", "2 dog")))
    decided_case("cup", model_version="a@1")
    export = export_request(selection=EVERYTHING, format="imagefolder", requested_by=lead_named())
    repository.activate(str(install(repository, "b", "1 mug", "2 dog")))
    repository.remove("a@1")
    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.error) == (
        "failed",
        "The labels of the model version “a@1” are needed, but it is not installed, or is damaged.",
    )
    assert kept_files() == []


def test_export_fails_on_a_full_disk(three_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    export_write(export.pk)
    export.refresh_from_db()
    assert export.state == "failed" and export.finished_at
    assert "It could not be written: It needs at least" in export.error and "1.0 kB are free in" in export.error
    assert export.error.endswith(". Nothing was kept.")
    assert kept_files() == []


def test_export_fails_after_the_timeout(three_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    _at_picture(monkeypatch, 2, _raise(JobTimeoutException("a test")))
    export_write(export.pk)
    export.refresh_from_db()
    assert (export.state, export.error) == ("failed", "It took longer than 6 hours. Select fewer cases.")
    assert kept_files() == []


def test_export_can_be_retried_after_an_unexpected_error(three_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    with monkeypatch.context() as patch:
        _at_picture(patch, 2, _raise(RuntimeError("a test")))
        with pytest.raises(RuntimeError):
            export_write(export.pk)
    assert Export.objects.waiting().get() == export and kept_files() == []
    export_write(export.pk)
    assert Export.objects.get().is_done


def test_stopped_export_is_queued_again(three_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    export = queued_export()
    stopping: list[bool] = []
    _at_picture(monkeypatch, 2, lambda: stopping.append(True))
    with pytest.raises(services.Stopped):
        export_write(export.pk, is_stopping=lambda: bool(stopping))
    export.refresh_from_db()
    assert (export.state, export.done, export.started_at) == ("queued", 0, None)
    assert kept_files() == []


def test_export_survives_a_failed_progress_update(
    three_cases: None, no_report_interval: None, monkeypatch: pytest.MonkeyPatch
) -> None:
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
def test_deleted_export_is_not_published(
    at: str, three_cases: None, no_report_interval: None, monkeypatch: pytest.MonkeyPatch
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


def test_worker_does_not_publish_an_export_that_another_has_taken_over(
    three_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = queued_export()

    def take_over() -> None:
        decided_case("tabby")
        with monkeypatch.context() as patch:
            patch.setattr(writing, "sha256_of", sha256_of)
            export_write(export.pk)

    _at_the_end(monkeypatch, take_over)
    export_write(export.pk)
    export.refresh_from_db()
    assert export.total == len(manifest(export.path)) == 4
    assert export.is_done and export.sha256 == sha256(export.path.read_bytes()).hexdigest()
    assert kept_files() == [export.path.name]


def test_worker_without_its_draft_does_not_fail_an_export_that_another_has_taken_over(
    three_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = queued_export()

    def take_over() -> None:
        Export.objects.update(started_at=timezone.now())
        for _name, file in writing.drafts(export.path.parent):
            file.unlink()

    _at_picture(monkeypatch, 2, take_over)
    export_write(export.pk)
    assert Export.objects.get().state == "running" and kept_files() == []


def test_failed_export_keeps_no_file(three_cases: None) -> None:
    """Its worker was killed after publishing the file and before the commit."""
    export = queued_export(state="running")
    export.path.parent.mkdir()
    export.path.touch()
    services.exports_fail([export.pk], "x" * 600)
    export.refresh_from_db()
    assert (export.state, export.error) == ("failed", "x" * 500)
    assert kept_files() == []


# --- Maintenance ----------------------------------------------------------------------------------


def test_deletes_an_export_with_its_file() -> None:
    export, other = done_export(), done_export()
    export_delete(export)
    assert list(Export.objects.all()) == [other] and kept_files() == [other.path.name]
    other.path.unlink()
    export_delete(other)
    assert not Export.objects.exists()


def test_removes_drafts_of_exports_that_are_not_running() -> None:
    done, running = done_export(), queued_export(state="running")
    folder = done.path.parent
    stays = [
        f".{running.pk}.zip.01234567.part",
        ".mine.zip.01234567.part",  # `manage.py export_cases` may be writing it
        f".{done.pk}.zip.notes",
        f".{done.pk}.zip.part",
    ]
    goes = [
        f".{done.pk}.zip.01234567.part",
        f".{done.pk}.zip.01234567.part.records",
        ".9a3b5c72-54f7-4c11-9c62-0a2d1d0c4a36.zip.01234567.part",  # its export was deleted
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
        ("an unknown one", timedelta(minutes=1), 1, "queued"),
        ("failed", timedelta(minutes=1), 1, "queued"),
        ("failed", timedelta(days=2), 0, "failed"),
        ("stopped", timedelta(minutes=1), 0, "failed"),
        ("canceled", timedelta(minutes=1), 0, "failed"),
    ],
)
def test_recovery_follows_the_status_of_the_job(
    exports: Queue, status: str | None, age: timedelta, recovered: int, state: str
) -> None:
    export = queued_export(created_at=timezone.now() - age)
    if status:
        export_queue.enqueue(export.pk)
        exports.connection.hset(Job.key_for(str(export.pk)), "status", status)
        if status != "queued":
            exports.connection.delete(exports.key)
        if status == "started":
            exports.connection.zadd(exports.started_job_registry.key, {f"{export.pk}:execution": 2**40})
    assert services.exports_recover(older_than=timedelta(seconds=10)) == recovered
    assert exports.job_ids == [str(export.pk)] * (recovered or status == "queued")
    assert Export.objects.get().state == state


def test_recovery_ignores_settled_exports(exports: Queue) -> None:
    done_export(created_at=timezone.now() - timedelta(days=1))
    assert services.exports_recover(older_than=timedelta(0)) == 0
