"""While the database, the queue or the disk is unavailable, responses are 503 with `Retry-After`."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import Client
from rq import Queue

from mlsite.outages import outage
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.uploads.storage import ContentAddressedStorage


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def locked_database(transactional_db: None) -> Iterator[None]:
    """Another connection holds SQLite's write lock, and nobody waits long for it."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has no lock for all writes")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()
    connection.close()


def _assert_unavailable(response: Any, part: str) -> None:
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    if response["Content-Type"] == "application/problem+json":
        assert (response.json()["status"], response.json()["code"]) == (503, f"{part}-unavailable")
    else:
        assert response["Content-Type"] == "text/html; charset=utf-8"
        assert f"The {part} is unavailable." in response.text
        assert "site-header" in response.text  # the site's own page


def test_locked_database_for_programs(
    client: Client, queue: Queue, locked_database: None, coffee_file: SimpleUploadedFile
) -> None:
    response = client.post("/api/predict", {"file": coffee_file})
    assert response["Content-Type"] == "application/problem+json"
    _assert_unavailable(response, "database")


def test_locked_database_for_legacy_clients(
    client: Client, queue: Queue, locked_database: None, coffee_file: SimpleUploadedFile
) -> None:
    response = client.post("/predict", {"file": coffee_file})
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json() == {"success": False, "prediction": None, "score": None}
    _assert_unavailable(client.post("/feedback", {"report": "wrong"}), "database")


def test_locked_database_for_visitors(
    client: Client, queue: Queue, locked_database: None, coffee_file: SimpleUploadedFile
) -> None:
    _assert_unavailable(client.post("/", {"file": coffee_file}), "database")


def test_locked_database_for_reviewers(transactional_db: None, client: Client, request: pytest.FixtureRequest) -> None:
    User.objects.create_superuser("root", password="long enough")
    client.force_login(User.objects.get())
    request.getfixturevalue("locked_database")
    assert client.get("/admin/").status_code == 200  # reading goes on
    _assert_unavailable(client.post("/admin/review/case/next/"), "database")
    _assert_unavailable(client.post("/admin/logout/"), "database")  # fails in a middleware, after the view
    login = {"username": "root", "password": "long enough"}
    _assert_unavailable(Client(raise_request_exception=False).post("/admin/login/", login), "database")


def test_unreachable_queue(client: Client, db: None, no_queue: None) -> None:
    client.force_login(User.objects.create_superuser("root"))
    _assert_unavailable(client.get("/admin/django_rq/dashboard/"), "queue")
    _assert_unavailable(client.post("/api/predict"), "queue")
    assert client.post("/predict").json() == {"success": False, "prediction": None, "score": None}


def test_full_disk(
    client: Client, db: None, queue: Queue, coffee_file: SimpleUploadedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ContentAddressedStorage, "_save", full)
    _assert_unavailable(client.post("/api/predict", {"file": coffee_file}), "storage")
    coffee_file.seek(0)
    _assert_unavailable(client.post("/", {"file": coffee_file}), "storage")
    assert not Prediction.objects.exists()


def test_legacy_clients_get_three_keys_for_a_defect(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.admission.backpressure.require_capacity", lambda **_: None)
    monkeypatch.setattr("predictions.uploads.validation.only_file", lambda _request: 1 / 0)
    response = client.post("/predict")
    assert response.status_code == 500
    assert response.json() == {"success": False, "prediction": None, "score": None}


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def _sqlite_error(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError()
    error.sqlite_errorname = name
    return error


class _ReadOnly(Exception):
    sqlstate = "25006"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("connection refused"), "database-unavailable"),
        (InterfaceError("connection already closed"), "database-unavailable"),
        (_caused(OperationalError(), _sqlite_error("SQLITE_FULL")), "database-unavailable"),
        (_caused(ProgrammingError(), _ReadOnly()), "database-unavailable"),
        (redis.TimeoutError(), "queue-unavailable"),
        (redis.ReadOnlyError(), "queue-unavailable"),
        (OSError(errno.ENOSPC, ""), "storage-unavailable"),
        (OSError(errno.EROFS, ""), "storage-unavailable"),
    ],
    ids=repr,
)
def test_recognizes_an_outage(error: Exception, code: str) -> None:
    found = outage(error)
    assert isinstance(found, RequestRejected)
    assert (found.code, found.status, found.headers) == (code, 503, {"Retry-After": "5"})


@pytest.mark.parametrize(
    "error",
    [
        None,
        ValueError(),
        FileNotFoundError(errno.ENOENT, ""),
        ProgrammingError("no such column"),
        _caused(OperationalError("no such table"), _sqlite_error("SQLITE_ERROR")),
    ],
    ids=repr,
)
def test_a_defect_is_no_outage(error: Exception | None) -> None:
    assert outage(error) is None
