"""Another web site cannot make visitors lose their cookie, and with it their history."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rq import Queue

from predictions import visitors
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction, upload

FOREIGN = {
    "cross-site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://other.example"},
    "another host of our domain": {"Sec-Fetch-Site": "same-site"},
    "old browser or HTTP": {"Origin": "http://other.example"},
    "other port": {"Origin": "http://testserver:8080"},
    "sandbox": {"Origin": "null"},
    "name that ends like ours": {"Origin": "http://eviltestserver"},
}
OURS = {
    "our page": {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"},
    "typed address": {"Sec-Fetch-Site": "none"},
    "our page over HTTP": {"Origin": "http://testserver"},
    "our page behind a proxy": {"Origin": "https://testserver"},
    "our page behind a proxy that changes the host": {
        "Sec-Fetch-Site": "same-origin",
        "Origin": "https://site.example",
    },
    "trusted origin": {"Origin": "https://trusted.example"},
    "trusted domain": {"Origin": "https://www.domain.example"},
    "program": {},
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _trusted_origins(settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example", "https://*.domain.example"]


def _send(headers: dict[str, str]) -> Any:
    response = Client(enforce_csrf_checks=True).post("/", {"file": upload()}, headers=headers)
    assert response.status_code == 303
    return response


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_request_from_another_site_sets_no_cookie(queue: Queue, headers: dict[str, str]) -> None:
    assert visitors.COOKIE not in _send(headers).cookies
    assert Prediction.objects.get().sender, "nobody but leads may delete it"


@pytest.mark.parametrize("headers", OURS.values(), ids=OURS.keys())
def test_request_of_our_page_or_a_program_sets_the_cookie(queue: Queue, headers: dict[str, str]) -> None:
    assert visitors.COOKIE in _send(headers).cookies


def test_scheme_of_a_trusted_origin_matters(queue: Queue) -> None:
    assert visitors.COOKIE not in _send({"Origin": "http://trusted.example"}).cookies


def test_feedback_from_another_site_sets_no_cookie(queue: Queue) -> None:
    address = f"{stored_prediction().get_absolute_url()}feedback/"
    for headers, sets_cookie in ((FOREIGN["cross-site"], False), (OURS["our page"], True)):
        response = Client().post(address, {"verdict": "right"}, headers=headers)
        assert response.status_code < 400 and (visitors.COOKIE in response.cookies) == sets_cookie
