"""Visitors are recognized by their cookie, also after the secret key has changed."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from predictions import visitors

pytestmark = pytest.mark.django_db


def _next_request(request: HttpRequest) -> HttpRequest:
    """Returns the next request of the browser that sent `request`."""
    response = HttpResponse()
    visitors.remember(request, response)
    following = RequestFactory().get("/")
    following.COOKIES = request.COOKIES | {name: cookie.value for name, cookie in response.cookies.items()}
    return following


def _new_visitor() -> tuple[str, HttpRequest]:
    request = RequestFactory().get("/")
    return visitors.visitor(request), _next_request(request)


def test_recognizes_a_visitor() -> None:
    first, request = _new_visitor()
    assert visitors.known_visitor(request) == visitors.visitor(request) == first != ""


def test_two_visitors_differ() -> None:
    assert _new_visitor()[0] != _new_visitor()[0]


def test_unknown_visitor_is_empty() -> None:
    assert visitors.known_visitor(RequestFactory().get("/")) == ""


@pytest.mark.parametrize("value", ["", "forged", "forged:1abcde:signature"])
def test_forged_cookie_names_nobody(value: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES = {visitors.COOKIE: value}
    assert visitors.known_visitor(request) == ""


def test_recognizes_a_visitor_after_the_secret_key_changed(settings: Settings) -> None:
    first, request = _new_visitor()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert visitors.known_visitor(request) == first
    settings.SECRET_KEY_FALLBACKS = []
    assert visitors.known_visitor(request) == ""
