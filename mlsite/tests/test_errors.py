from uuid import uuid4

import pytest
from django.test import Client, RequestFactory

from mlsite import errors


def test_a_page_for_people(client: Client) -> None:
    answer = client.get("/nothing-here")
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.text


def test_problem_details_for_programs(client: Client) -> None:
    answer = client.get("/api/nothing-here")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not-found"


@pytest.mark.parametrize("path", ["/", "/api/predict"])
def test_a_defect_says_nothing_of_itself(rf: RequestFactory, path: str) -> None:
    answer = errors.server_error(rf.get(path))
    assert answer.status_code == 500
    assert b"It has been logged." in answer.content


@pytest.mark.django_db
def test_a_form_without_its_token_is_explained() -> None:
    answer = Client(enforce_csrf_checks=True).post(f"/predictions/{uuid4()}/feedback/", {})
    assert answer.status_code == 403
    assert "load the page again" in answer.text


def test_every_page_forbids_what_comes_from_elsewhere(client: Client) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
