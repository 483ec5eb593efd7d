"""Probes answer whatever host they are sent to, and over plain HTTP."""

import pytest
from django.test import Client
from pytest_django import Settings

from mlsite import probes


@pytest.fixture(params=sorted(probes.PATHS))
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["10.0.0.7:8000", "web", "[fe80::1]:8000", "not a host", ""])
def test_answers_whatever_the_host(client: Client, no_queue: None, path: str, host: str) -> None:
    assert client.get(path, headers={"Host": host}).status_code == (503 if path == "/readyz" else 200)


@pytest.mark.django_db
def test_is_not_redirected_to_https(client: Client, no_queue: None, settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/").status_code == 301
    assert client.get(path).status_code in {200, 503}


def test_other_addresses_require_a_known_host(client: Client) -> None:
    for path in ("/", "/healthz/", "/healthzz", "/admin/"):
        assert client.get(path, headers={"Host": "10.0.0.7"}).status_code == 400
