"""Each client may send a limited number of requests in a minute."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django import Settings
from rq import Queue

from predictions.admission import rate_limits
from predictions.admission.rate_limits import RateLimit
from predictions.exceptions import RequestRejected
from predictions.tests.fakes import Unreadable, upload


class Clock:
    """A fake for the `time` module."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limits, "time", clock)
    return clock


@pytest.fixture
def limit(settings: Settings, clock: Clock) -> RateLimit:
    """Six requests per minute: one each ten seconds after that."""
    settings.RATE_LIMIT_LABELS = 6
    return RateLimit("RATE_LIMIT_LABELS")


def _from(address: str) -> HttpRequest:
    return RequestFactory(REMOTE_ADDR=address).get("/")


def _allowed(limit: RateLimit, address: str, number: int) -> int:
    """Sends requests and returns how many of them are allowed."""
    allowed = 0
    for _ in range(number):
        try:
            limit.require(_from(address))
        except RequestRejected:
            continue
        allowed += 1
    return allowed


def test_rejects_what_exceeds_the_limit_of_a_minute(limit: RateLimit) -> None:
    assert _allowed(limit, "192.0.2.1", 6) == 6
    with pytest.raises(RequestRejected) as caught:
        limit.require(_from("192.0.2.1"))
    assert (caught.value.code, caught.value.status) == ("too-many-requests", 429)
    assert caught.value.headers == {"Retry-After": "10"}
    assert caught.value.message == "Your address has sent too many requests. Please try again in 10 s."


def test_allows_requests_again_as_time_passes(limit: RateLimit, clock: Clock) -> None:
    assert _allowed(limit, "192.0.2.1", 10) == 6
    clock.now += 9.9
    assert _allowed(limit, "192.0.2.1", 2) == 0
    clock.now += 0.2
    assert _allowed(limit, "192.0.2.1", 2) == 1
    clock.now += 600
    assert _allowed(limit, "192.0.2.1", 10) == 6


def test_a_rejected_request_does_not_count(limit: RateLimit, clock: Clock) -> None:
    _allowed(limit, "192.0.2.1", 1000)
    clock.now += 10.1
    assert _allowed(limit, "192.0.2.1", 1) == 1


def test_clients_do_not_affect_each_other(limit: RateLimit) -> None:
    assert _allowed(limit, "192.0.2.1", 10) == _allowed(limit, "192.0.2.2", 10) == 6


def test_addresses_of_one_ipv6_network_count_together(limit: RateLimit) -> None:
    assert sum(_allowed(limit, f"2001:db8::{number:x}", 1) for number in range(10)) == 6
    assert _allowed(limit, "2001:db8:0:1::1", 10) == 6


def test_clients_of_unknown_address_are_not_limited(limit: RateLimit) -> None:
    assert _allowed(limit, "", 10) == 10


def test_zero_turns_the_limit_off(limit: RateLimit, settings: Settings) -> None:
    settings.RATE_LIMIT_LABELS = 0
    assert _allowed(limit, "192.0.2.1", 10) == 10


def test_forgets_clients_that_have_not_asked_for_a_minute(limit: RateLimit, clock: Clock) -> None:
    for number in range(100):
        _allowed(limit, f"192.0.2.{number}", 1)
    assert len(limit._buckets) == 100
    clock.now += 59
    _allowed(limit, "192.0.2.0", 1)
    clock.now += 1
    _allowed(limit, "198.51.100.1", 1)
    assert set(limit._buckets) == {"192.0.2.0", "198.51.100.1"}


# --- The endpoints --------------------------------------------------------------------------------


def _send(path: str, **extra: Any) -> Any:
    return Client().post(path, {"file": upload(b"no picture")}, **extra)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/predict", "/predict", "/"])
def test_page_api_and_legacy_uploads_count_together(queue: Queue, settings: Settings, path: str) -> None:
    settings.RATE_LIMIT_PREDICTIONS = 3
    assert [_send(one).status_code for one in ("/api/predict", "/predict", "/")] == [415, 400, 415]
    rejected = _send(path, **{"wsgi.input": Unreadable()})
    assert rejected.status_code == 429 and int(rejected["Retry-After"]) in range(1, 21)
    if path == "/api/predict":
        assert rejected.json()["code"] == "too-many-requests"
        assert rejected["Content-Type"] == "application/problem+json"
    elif path == "/predict":
        assert rejected.json() == {"success": False, "prediction": None, "score": None}
    else:
        assert 'role="alert"' in rejected.text and "Please try again in" in rejected.text
    assert Client().get("/").status_code == 200
    assert _send(path, REMOTE_ADDR="192.0.2.9").status_code != 429


@pytest.mark.django_db
def test_limits_searches_for_labels(settings: Settings) -> None:
    settings.RATE_LIMIT_LABELS = 2
    statuses = [Client().get("/api/labels", {"q": "cup"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.django_db
def test_needs_no_queue_server(no_queue: None, settings: Settings) -> None:
    settings.RATE_LIMIT_PREDICTIONS = 1
    assert _send("/api/predict").status_code == 503
    assert _send("/api/predict").status_code == 429


def test_rejections_are_not_logged_one_by_one(
    queue: Queue, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.RATE_LIMIT_PREDICTIONS = 1
    for _ in range(3):
        _send("/api/predict", **{"HTTP_PREFER": "respond-async"})
    assert len([record for record in caplog.records if "/api/predict" in record.getMessage()]) == 1
