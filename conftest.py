"""Fixtures of all tests: a real queue, a worker, real models, real photos."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import django_rq
import hypothesis
import PIL.Image
import pytest
import skimage.data
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.commands import flush
from django.core.management.sql import emit_post_migrate_signal
from django.db import connections, transaction
from django.db.models import Model
from django.test import Client
from pytest_django import Settings
from rq import Queue
from rq.timeouts import TimerDeathPenalty

from devtools.environment import XDIST_WORKER
from devtools.running import ROOT
from devtools.services import embedded_queue
from predictions import classifiers, queues
from predictions.admission import backpressure, client_share, rate_limits
from predictions.delays import delay
from predictions.prediction_worker import PredictionWorker
from predictions.tests.fakes import FakeClassifier
from predictions.tests.label_sets import ActivateLabels
from review import roles
from worker.inference.repository import ModelVersion, Repository
from worker.inference.repository.labels import Label
from worker.inference.tests.label_examples import install_with_labels
from worker.inference.tests.tiny_networks import add_version

# No deadlines: a busy machine must not fail a test. Hypothesis' own profile "ci" tries the same examples each time, so
# that only a change can break a build; "thorough" searches for new failures.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=3000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make test-fast` leaves out: tests of whole sites, and modules that start processes."""
    for item in items:
        module = getattr(item, "module", None)
        if item.path.is_relative_to(ROOT / "tests") or "subprocess" in vars(module):
            item.add_marker("processes")


# --- The site -------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def static_files() -> None:
    """Serves static files under their plain names, so that no test needs `collectstatic`."""
    django_settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    Path(django_settings.STATIC_ROOT).mkdir(exist_ok=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Puts SQLite into a file, as in production, so that threads and processes can share it."""
    database = django_settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database.setdefault("TEST", {})["NAME"] = str(django_settings.DATA_DIR / "tests.sqlite3")


class RestoredRows:
    """What `flush` calls in place of the signal `post_migrate`: writes the rows again that the receivers create.

    Django flushes the database after each test with transactions of its own. The receivers then create content types,
    permissions and roles anew, query by query, which took a third of the time of such tests.
    """

    MODELS: tuple[type[Model], ...] = (ContentType, Permission, Group, Group.permissions.through)

    def __init__(self) -> None:
        self._rows: list[list[Any]] = []

    def __call__(self, verbosity: int, interactive: bool, db: str, **_: object) -> None:
        if not self._rows:
            emit_post_migrate_signal(verbosity, interactive, db)
            self._rows = [list(model._default_manager.using(db).all()) for model in self.MODELS]
            return
        with transaction.atomic(using=db):
            for model, rows in zip(self.MODELS, self._rows, strict=True):
                model._default_manager.using(db).bulk_create(rows)


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "emit_post_migrate_signal", RestoredRows())
        yield


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path, settings: Settings) -> None:
    """Gives each test its own uploads, exports and feedback file, and an empty cache."""
    settings.MEDIA_ROOT = tmp_path / "uploads"
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.FEEDBACK_FILE = tmp_path / "feedback"
    cache.clear()


@pytest.fixture(autouse=True)
def no_rejections() -> None:
    """Forgets the requests of earlier tests, which delay the next `Retry-After` and count towards limits."""
    backpressure.retry_after_schedule.reset()
    client_share.waiting.reset()
    for limit in (rate_limits.predictions, rate_limits.feedback, rate_limits.labels):
        limit.reset()


@pytest.fixture(autouse=True)
def loaded_models() -> Iterator[None]:
    """Waits for a model that a worker of the test loads in the background: it would log into the next test."""
    yield
    for thread in threading.enumerate():
        if thread.name == "model loading":
            thread.join(60)


def _logged_in(username: str, role: str) -> Client:
    roles.create_roles()
    user = User.objects.create_user(username, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def reviewer(db: None) -> Client:
    """A client that is logged in as a reviewer, with only the permissions of that role."""
    return _logged_in("reviewer", roles.REVIEWERS)


@pytest.fixture
def lead(db: None) -> Client:
    """A client that is logged in as a lead."""
    return _logged_in("lead", roles.LEADS)


# --- The queue and its worker ---------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def queue_server() -> Iterator[None]:
    """Runs a real queue server: the one that REDIS_URL names, or an embedded Valkey.

    For all tests: without one, each upload gets 503 before anything about it is checked.
    """
    if not queues.is_embedded():
        yield
        return
    with embedded_queue(django_settings.DATA_DIR):
        yield
        logging.getLogger("predictions.announcements").disabled = True  # its thread keeps listening


@pytest.fixture
def queue(queue_server: None) -> Iterator[Queue]:
    """The empty queue of predictions."""
    queues.connection().flushdb()
    backpressure.load.reset()
    delay.reset()
    yield queues.queue()
    queues.connection().flushdb()


@pytest.fixture
def no_queue(settings: Settings, tmp_path: Path) -> Iterator[None]:
    """Settings that name a queue server that does not run."""
    settings.REDIS_URL = f"unix://{tmp_path}/nothing.sock"
    queues.queue.cache_clear()
    backpressure.load.reset()
    delay.reset()
    yield
    queues.queue.cache_clear()
    backpressure.load.reset()
    delay.reset()


class ThreadWorker(PredictionWorker):
    """The real worker, in a thread of the test instead of a process."""

    death_penalty_class = TimerDeathPenalty

    def __init__(self) -> None:
        # Another queue object, because RQ changes the timeouts of a worker's connection.
        super().__init__([django_rq.get_queue(queues.NAME)])
        self._thread = threading.Thread(target=self._live, name="worker")

    def _install_signal_handlers(self) -> None:
        """Does nothing: only the main thread may install signal handlers."""

    def subscribe(self) -> None:
        """Does nothing: the tests send no commands."""

    def _live(self) -> None:
        try:
            self.work()
        finally:
            connections.close_all()
            self.connection.close()

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        """Stops the worker after its current batch, by unblocking its connection, and waits until it has ended."""
        self._stop_requested = True
        server = queues.connection()
        database = str(server.get_connection_kwargs().get("db", 0))  # other test processes may use other databases
        while self._thread.is_alive():
            for client in server.client_list():
                if client["db"] == database and client["cmd"] in {"blmove", "blpop"}:
                    server.client_unblock(int(client["id"]))
            self._thread.join(0.02)


@pytest.fixture
def fake_classifier(monkeypatch: pytest.MonkeyPatch) -> FakeClassifier:
    """Replaces the model by one that decodes each image and always gives the same answer."""
    classifier = FakeClassifier()
    monkeypatch.setattr(classifiers, "current", lambda: classifier)
    monkeypatch.setattr(classifiers, "loaded_version", lambda: classifier.version)
    monkeypatch.setattr(classifiers, "active_name", lambda: classifier.version)
    return classifier


@pytest.fixture
def work_off(queue: Queue) -> Callable[[], None]:
    """Returns a function that runs all queued jobs in the test's own thread."""

    def work_off() -> None:
        PredictionWorker([queue]).work(burst=True)

    return work_off


@pytest.fixture
def worker(transactional_db: None, queue: Queue, fake_classifier: FakeClassifier) -> Iterator[FakeClassifier]:
    """Runs a worker beside the test. The value is its fake classifier."""
    worker = ThreadWorker()
    worker.start()
    try:
        yield fake_classifier
    finally:
        worker.leave()


# --- Models and photos ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def models() -> Repository:
    """The real default model, built once for the whole run and active."""
    built = _built_models()
    if built != django_settings.MODELS_DIR:
        shutil.copytree(built, django_settings.MODELS_DIR, dirs_exist_ok=True)
    return Repository(django_settings.MODELS_DIR)


@pytest.fixture
def two_versions(models: Repository, settings: Settings, tmp_path: Path) -> Repository:
    """The default model, which is active, and `other-net@1` with other labels, in a folder that a test may change."""
    settings.MODELS_DIR = tmp_path / "models"
    shutil.copytree(models.root, settings.MODELS_DIR)
    repository = Repository(settings.MODELS_DIR)
    active = repository.active()
    assert active is not None
    install_with_labels(active, "other-net", ["cup", "unicorn\tmonoceros", "whippet"])
    return repository


@pytest.fixture
def activate_labels(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ActivateLabels:
    """Returns a function that installs and activates a version with these labels and a tiny real network."""
    settings.MODELS_DIR = tmp_path / "models"
    settings.ENGINE_THREADS = 1
    monkeypatch.setattr(classifiers, "_loaded", None)

    def activate(labels: Sequence[Label]) -> ModelVersion:
        repository = Repository(settings.MODELS_DIR)
        return repository.activate(str(add_version(repository, "small", labels)))

    return activate


def _built_models() -> Path:
    """Returns the folder of the built model. In a parallel run, the first process builds it and the others wait."""
    folder = Path(django_settings.DATA_DIR).parent / "models" if XDIST_WORKER else Path(django_settings.MODELS_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:  # beside the folder: the repository has a lock in it
        fcntl.flock(lock, fcntl.LOCK_EX)
        repository = Repository(folder)
        if not repository.versions():
            repository.activate(str(repository.install(django_settings.DEFAULT_MODEL)))
    return folder


def encoded(name: str, image_format: str = "JPEG", **options: object) -> bytes:
    """Encodes a sample photo of scikit-image (`coffee`, `chelsea`, ...) in the given format."""
    result = BytesIO()
    PIL.Image.fromarray(getattr(skimage.data, name)()).save(result, image_format, **options)
    return result.getvalue()


@pytest.fixture(scope="session")
def coffee() -> bytes:
    """A cup of espresso, 600 x 400, JPEG."""
    return encoded("coffee", quality=92)


@pytest.fixture(scope="session")
def chelsea() -> bytes:
    """A cat, 451 x 300, JPEG."""
    return encoded("chelsea", quality=92)


@pytest.fixture
def coffee_file(coffee: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("coffee.jpg", coffee, content_type="image/jpeg")
