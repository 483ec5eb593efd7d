"""The pages of errors: what they say, and how they lead on."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse
from django.test import Client, RequestFactory

from mlsite import errors
from mlsite.error_pages import TEXTS
from predictions.exceptions import RequestRejected, unavailable

REFRESH = re.compile(r'<noscript><meta http-equiv="refresh" content="(\d+)"></noscript>')


def _busy(status: int = 503, seconds: int = 7) -> RequestRejected:
    return RequestRejected("busy", "The site is busy.", status=status, retry_after=seconds)


def _heading(response: HttpResponse) -> str:
    found = re.search(r"<h1>(.*?)</h1>", response.text)
    assert found
    return found[1]


@pytest.mark.parametrize("status", sorted(TEXTS))
def test_every_page_has_a_heading_a_message_and_a_way_on(rf: RequestFactory, status: int) -> None:
    response = errors.rejection_response(rf.get("/x"), RequestRejected("code", "What has happened.", status=status))
    assert response.status_code == status
    assert _heading(response) and "What has happened." in response.text
    assert f"Error {status}" in response.text and 'data-code="code"' in response.text
    assert re.search(r'class="button[^"]*" href="/"', response.text)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_that_was_loaded_tries_again_by_itself(rf: RequestFactory, status: int, method: str) -> None:
    response = errors.rejection_response(rf.generic(method, "/x?q=1&r=2"), _busy(status))
    refresh = REFRESH.search(response.text)
    assert refresh and refresh[1] == response["Retry-After"] == "7"
    assert 'data-seconds="7"' in response.text and "every 7 seconds" in response.text
    assert 'href="/x?q=1&amp;r=2">Try again</a>' in response.text


def test_a_form_is_never_sent_again_by_itself(rf: RequestFactory) -> None:
    response = errors.rejection_response(rf.post("/x"), _busy())
    assert "refresh" not in response.text and "retry.js" not in response.text
    assert "Go back in your browser, and send it again." in response.text
    assert "Try again</a>" not in response.text


def test_a_page_that_has_failed_for_good_does_not_try_again(rf: RequestFactory) -> None:
    for response in (errors.page_not_found(rf.get("/x"), Exception()), errors.server_error(rf.get("/x"))):
        assert "refresh" not in response.text and "retry.js" not in response.text


def test_the_button_leads_to_this_site_only(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.path = request.path_info = "//example.com/<script>"
    assert 'href="/%2Fexample.com/%3Cscript%3E"' in errors.rejection_response(request, _busy()).text


def test_database_that_is_away(rf: RequestFactory) -> None:
    response = errors.rejection_response(rf.get("/x"), unavailable("database"))
    assert _heading(response) == "Not available at the moment"
    assert "The database is unavailable." in response.text
    assert REFRESH.search(response.text)


@pytest.mark.parametrize("path", ["/feedback", "/api/feedback"])
def test_too_large_names_the_limit(rf: RequestFactory, path: str) -> None:
    response = errors.bad_request(rf.post(path), RequestDataTooBig())
    assert response.status_code == 413
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 2.5 * 2**20
    assert "larger than the limit of 2.5 MB" in response.text


def test_errors_of_the_admin_lead_back_to_it(rf: RequestFactory) -> None:
    assert "Go to Review</a>" in errors.page_not_found(rf.get("/admin/x/"), Exception()).text
    assert "Go to Review</a>" not in errors.page_not_found(rf.get("/x/"), Exception()).text


def test_an_expired_form_is_called_so(rf: RequestFactory) -> None:
    assert _heading(errors.csrf_failure(rf.post("/x"))) == "This form has expired"


@pytest.mark.django_db
def test_the_current_page_is_marked(client: Client) -> None:
    assert '<a href="/" aria-current="page">New picture</a>' in client.get("/").text
    assert "aria-current" not in client.get("/nowhere").text
