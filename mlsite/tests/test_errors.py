from uuid import uuid4

import pytest
from django.test import Client, RequestFactory

from mlsite import errors


def test_people_get_a_page(client: Client) -> None:
    answer = client.get("/nothing-here")
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.text


def test_programs_get_problem_details(client: Client) -> None:
    answer = client.get("/api/nothing-here")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not-found"


@pytest.mark.parametrize("path", ["/", "/api/predict"])
def test_server_error_reveals_nothing(rf: RequestFactory, path: str) -> None:
    answer = errors.server_error(rf.get(path))
    assert answer.status_code == 500
    assert b"The error has been logged." in answer.content


@pytest.mark.django_db
def test_explains_a_missing_csrf_token() -> None:
    answer = Client(enforce_csrf_checks=True).post(f"/predictions/{uuid4()}/feedback/", {})
    assert answer.status_code == 403
    assert "load the page again" in answer.text


def test_content_security_policy_allows_nothing_foreign_or_inline(client: Client) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_permissions_policy_allows_the_camera_to_this_site_only(client: Client) -> None:
    policy = client.get("/").headers["Permissions-Policy"]
    assert "camera=(self)" in policy and "microphone=()" in policy


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/predict", "/admin/logout/", "/admin/review/case/release/"])
def test_wrong_method_gets_a_page_that_leads_on(lead: Client, path: str) -> None:
    response = lead.get(path)
    assert response.status_code == 405
    assert "POST" in response["Allow"]
    assert "accepts only what a form or a program sends" in response.text
    assert 'href="/"' in response.text
    assert response["Content-Length"] == str(len(response.content))
