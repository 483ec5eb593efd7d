"""The worker of exports, in this process and in processes that are stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from learning.datasets import export_queue, export_worker, services
from learning.datasets.export_worker import ExportWorker
from learning.datasets.tests.data import decided_case, done_export, kept_files, manifest, queued_export
from learning.models import Export
from review.models import Case
from review.tests.label_versions import install, mapped
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker ends after an export if TensorFlow is loaded, as it may be by other tests in this process."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)


@pytest.fixture
def five_cases() -> None:
    for _ in range(5):
        decided_case("cup")


def _queued() -> Export:
    export = queued_export()
    export_queue.enqueue(export.pk)
    return export


def _work(exports: Queue) -> None:
    ExportWorker([exports]).work(burst=True)


def test_writes_a_queued_export(exports: Queue, five_cases: None) -> None:
    export = _queued()
    _work(exports)
    export.refresh_from_db()
    assert export.is_done and len(manifest(export.path)) == 5
    assert Job.fetch(str(export.pk), exports.connection, JSONSerializer).get_status().value == "finished"


def test_returns_cases_to_the_desk_whose_label_was_dropped(
    exports: Queue, five_cases: None, settings: Settings, tmp_path: Path
) -> None:
    settings.MODELS_DIR = tmp_path / "models"
    repository = Repository(settings.MODELS_DIR)
    old = install(repository, "fake-net", "1 cup", "2 dog")
    new = install(repository, "b", "3 mug", "2 dog")
    mapped(old, new, "drop cup")
    repository.activate(str(new))
    _work(exports)
    assert set(Case.objects.values_list("state", flat=True)) == {"open"}


def test_command_starts_a_worker_of_the_queue(
    exports: Queue, five_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ExportWorker] = []
    monkeypatch.setattr(ExportWorker, "work", lambda worker, **_options: made.append(worker))
    call_command("exporter", verbosity=0)
    (worker,) = made
    assert worker.queue_names() == ["exports"] and worker.serializer is JSONSerializer


def test_export_fails_after_three_attempts(exports: Queue, five_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[object] = []

    def broken(export_id: object, **_options: object) -> None:
        tries.append(export_id)
        raise RuntimeError("a test")

    monkeypatch.setattr(services, "export_write", broken)
    export = _queued()
    _work(exports)
    export.refresh_from_db()
    assert tries == [export.pk] * 3
    assert (export.state, export.error) == ("failed", services.UNEXPECTED.format(what="RuntimeError"))


def test_export_survives_a_database_outage(exports: Queue, five_cases: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(export_id: object, **_options: object) -> None:
        raise OperationalError("the database system is starting up")

    with monkeypatch.context() as patch:
        patch.setattr(services, "export_write", broken)
        export = _queued()
        _work(exports)
    export.refresh_from_db()
    assert export.state == "queued"
    assert services.exports_recover(older_than=timedelta(0)) == 1
    _work(exports)
    export.refresh_from_db()
    assert export.is_done


def test_cancelled_job_fails_its_export(exports: Queue, five_cases: None) -> None:
    export = _queued()
    exports.connection.hset(Job.key_for(str(export.pk)), "status", "canceled")
    _work(exports)
    export.refresh_from_db()
    assert (export.state, export.error) == ("failed", "Its job was cancelled in the queue.")


def test_recovers_lost_jobs_and_removes_drafts(
    exports: Queue, five_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_worker, "RECOVER_AFTER", export_worker.RECOVER_AFTER * 0)
    lost, done = queued_export(), done_export()
    done.path.with_name(f".{done.path.name}.01234567.part").touch()
    _work(exports)
    assert Export.objects.get(pk=lost.pk).is_done
    assert kept_files() == sorted([lost.path.name, done.path.name])


def test_worker_ends_after_loading_tensorflow(
    exports: Queue, five_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _queued(), _queued()
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    _work(exports)
    assert Export.objects.get(pk=first.pk).is_done and exports.job_ids == [str(second.pk)]
    monkeypatch.delitem(sys.modules, "tensorflow")
    third = _queued()
    _work(exports)
    assert not Export.objects.waiting().exists() and third.path.exists()


# --- Processes ------------------------------------------------------------------------------------


class Exporter(subprocess.Popen[bytes]):
    """A worker process that waits at the third picture if `pause` is given."""

    def __init__(self, settings: Settings, pause: Path | None = None, limit: int | None = None) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("hands the test database to other processes as a file")
        folders = [str(settings.MEDIA_ROOT), str(settings.EXPORTS_DIR)]
        command = [
            sys.executable,
            "-m",
            "learning.datasets.tests.exporter",
            *folders,
            str(pause or ""),
            str(limit or ""),
        ]
        environment = os.environ | {"DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}"}
        super().__init__(command, cwd=ROOT, env=environment)


@pytest.fixture
def start(settings: Settings, exports: Queue) -> Iterator[Callable[..., Exporter]]:
    processes = []

    def start(**options: Any) -> Exporter:
        processes.append(Exporter(settings, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _state(export: Export) -> str:
    export.refresh_from_db()
    return export.state


def _cannot_be_downloaded(lead: Client, export: Export) -> bool:
    return lead.get(f"/admin/learning/export/{export.pk}/download/").status_code == 404


def _is_whole(export: Export) -> bool:
    export.refresh_from_db()
    return sha256(export.path.read_bytes()).hexdigest() == export.sha256 and len(manifest(export.path)) == 5


def test_stopped_worker_requeues_its_export(
    start: Callable[..., Exporter], five_cases: None, exports: Queue, lead: Client, tmp_path: Path
) -> None:
    export, pause = _queued(), tmp_path / "pause"
    worker = start(pause=pause)
    _until(pause.exists)
    assert _state(export) == "running" and _cannot_be_downloaded(lead, export)
    worker.send_signal(signal.SIGTERM)
    pause.unlink()
    assert worker.wait(30) == 0
    assert _state(export) == "queued" and exports.job_ids == [str(export.pk)]
    assert kept_files() == [] and _cannot_be_downloaded(lead, export)

    start()
    _until(lambda: _state(export) == "done")
    assert _is_whole(export) and kept_files() == [export.path.name]


def test_next_worker_replaces_the_draft_of_a_killed_one(
    start: Callable[..., Exporter], five_cases: None, lead: Client, tmp_path: Path
) -> None:
    export, pause = _queued(), tmp_path / "pause"
    worker = start(pause=pause)
    _until(pause.exists)
    worker.kill()
    worker.wait()
    (draft,) = kept_files()
    assert draft.endswith(".part") and _state(export) == "running" and _cannot_be_downloaded(lead, export)

    start()
    _until(lambda: _state(export) == "done")
    assert _is_whole(export) and kept_files() == [export.path.name]


def test_draft_of_a_deleted_export_is_removed(start: Callable[..., Exporter], five_cases: None, tmp_path: Path) -> None:
    export, pause = _queued(), tmp_path / "pause"
    worker = start(pause=pause)
    _until(pause.exists)
    worker.kill()
    worker.wait()
    services.export_delete(export)
    assert len(kept_files()) == 1
    start()
    _until(lambda: kept_files() == [])


def test_full_disk_fails_one_export_only(start: Callable[..., Exporter], five_cases: None, lead: Client) -> None:
    """Each picture fits, but not all of them. The worker continues with the next export."""
    export = _queued()
    start(limit=9_000)
    _until(lambda: _state(export) == "failed")
    assert export.error == "It could not be written: File too large. Nothing was kept."
    assert kept_files() == [] and _cannot_be_downloaded(lead, export)
    small = queued_export(selection=export.selection | {"labels": ["tabby"]})
    decided_case("tabby")
    export_queue.enqueue(small.pk)
    _until(lambda: _state(small) == "done")
