"""A request does not wait longer than its client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings
from rq import Queue

from predictions import connections
from predictions.admission import backpressure
from predictions.connections import ClientConnection
from predictions.models import Prediction
from predictions.tests.fakes import upload

WAIT_SECONDS = 120  # longer than the test takes on a busy machine


@pytest.fixture
def connection() -> Iterator[ClientConnection]:
    """The connection of the requests of this thread."""
    found = ClientConnection()
    connections.set_current(found)
    yield found
    connections.set_current(ClientConnection())


def test_wakes_when_the_connection_is_closed(connection: ClientConnection) -> None:
    woken = threading.Event()
    with connection.waking(woken.set):
        assert not woken.is_set()
        connection.close()
        assert woken.is_set()


def test_wakes_at_once_when_the_connection_was_closed_before(connection: ClientConnection) -> None:
    connection.close()
    woken = threading.Event()
    with connection.waking(woken.set):
        assert woken.is_set()


def test_does_not_wake_after_the_wait(connection: ClientConnection) -> None:
    woken = threading.Event()
    with connection.waking(woken.set):
        pass
    connection.close()
    assert not woken.is_set()


@pytest.mark.django_db(transaction=True)
def test_request_ends_when_its_client_has_gone(queue: Queue, connection: ClientConnection, settings: Settings) -> None:
    settings.PREDICT_WAIT_SECONDS = WAIT_SECONDS
    started = time.monotonic()

    def hang_up() -> None:
        while not backpressure.wait_slots.in_use:
            time.sleep(0.01)
        connection.close()

    client = threading.Thread(target=hang_up)
    client.start()
    response = Client().post("/api/predict", {"file": upload()})  # nothing answers it: there is no worker
    client.join()
    assert response.status_code == 202
    assert time.monotonic() - started < WAIT_SECONDS
    assert backpressure.wait_slots.in_use == 0
    assert Prediction.objects.get().is_waiting, "the picture is classified all the same"
