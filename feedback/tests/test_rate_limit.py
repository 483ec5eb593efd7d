"""Statements by page, API and legacy clients count towards one limit."""

import pytest
from django.test import Client
from pytest_django import Settings

from feedback.models import Feedback
from predictions.models import Prediction
from predictions.tests.fakes import Unreadable, stored_prediction

pytestmark = pytest.mark.django_db


@pytest.fixture
def prediction() -> Prediction:
    return stored_prediction()


def _page(prediction: Prediction) -> str:
    return f"/predictions/{prediction.id}/feedback/"


@pytest.fixture
def exhausted(prediction: Prediction, settings: Settings) -> None:
    """The limit is used up: by one statement of each kind."""
    settings.RATE_LIMIT_FEEDBACK = 3
    assert Client().post(_page(prediction), {"verdict": "right"}).status_code == 302
    said = {"prediction": str(prediction.id), "verdict": "right"}
    assert Client().post("/api/feedback", said, content_type="application/json").status_code == 201
    assert Client().post("/feedback", {"report": "wrong"}).status_code == 200
    assert Feedback.objects.count() == 3


def test_the_page_keeps_what_was_typed(exhausted: None, prediction: Prediction) -> None:
    response = Client().post(_page(prediction), {"verdict": "wrong", "comment": "It is a tea cup."})
    assert response.status_code == 429 and int(response["Retry-After"]) in range(1, 21)
    assert 'role="alert"' in response.text and "Please try again in" in response.text
    assert "It is a tea cup." in response.text
    assert Feedback.objects.count() == 3


def test_the_api_answers_with_a_problem(exhausted: None) -> None:
    response = Client().post("/api/feedback", content_type="application/json", **{"wsgi.input": Unreadable()})  # type: ignore[arg-type]
    assert (response.status_code, response.json()["code"]) == (429, "too-many-requests")
    assert int(response["Retry-After"]) in range(1, 21)


def test_legacy_clients_get_a_page(exhausted: None) -> None:
    response = Client().post("/feedback", {"report": "wrong"}, **{"wsgi.input": Unreadable()})  # type: ignore[arg-type]
    assert response.status_code == 429 and int(response["Retry-After"]) in range(1, 21)
    assert 'data-code="too-many-requests"' in response.text
    assert Client().get("/feedback").status_code == 200
    assert Feedback.objects.count() == 3


def test_other_clients_are_not_affected(exhausted: None) -> None:
    assert Client(REMOTE_ADDR="192.0.2.1").post("/feedback", {"report": "wrong"}).status_code == 200
