"""Every error of the API is a problem document (RFC 9457) with a stable code."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from predictions import classifiers
from predictions.api.problems import problem_response

pytestmark = pytest.mark.django_db


def _assert_problem(response: Any, status: int, code: str) -> None:
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == "about:blank" and body["title"] and body["detail"]


def test_a_rejection_is_a_problem(client: Client) -> None:
    _assert_problem(client.post("/api/predict"), 400, "no-file")


def test_not_found(client: Client) -> None:
    for path in ("/api/", "/api/nothing", "/api/predictions/1", f"/api/predictions/{uuid4()}"):
        _assert_problem(client.get(path), 404, "not-found")


def test_method_not_allowed(client: Client) -> None:
    response = client.get("/api/predict")
    _assert_problem(response, 405, "method-not-allowed")
    assert response["Allow"] == "POST, OPTIONS"
    _assert_problem(client.put(f"/api/predictions/{uuid4()}"), 405, "method-not-allowed")


def test_unsupported_media_type(client: Client) -> None:
    _assert_problem(client.post("/api/predict", {}, content_type="application/json"), 415, "unsupported-media-type")
    _assert_problem(client.post("/api/predict", b"x", content_type="image/jpeg"), 415, "unsupported-media-type")


def test_not_acceptable(client: Client) -> None:
    response = client.get("/api/models", headers={"Accept": "text/html"})
    _assert_problem(response, 406, "not-acceptable")


def test_malformed(client: Client) -> None:
    response = client.post("/api/predict", b"x", content_type="multipart/form-data; boundary=")
    _assert_problem(response, 400, "malformed")


def test_too_many_files_are_malformed(client: Client) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n\r\n'
    response = client.post("/api/predict", part * 200, content_type="multipart/form-data; boundary=x")
    _assert_problem(response, 400, "malformed")


def test_a_defect_is_a_500_without_details(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(classifiers, "installed_models", broken)
    response = Client(raise_request_exception=False).get("/api/models")
    _assert_problem(response, 500, "internal-error")
    assert "secret detail" not in response.text


def test_other_exceptions_are_not_handled() -> None:
    assert problem_response(RuntimeError()) is None


def test_errors_outside_the_api_are_pages(client: Client) -> None:
    response = client.get("/nothing")
    assert (response.status_code, response["Content-Type"]) == (404, "text/html; charset=utf-8")
