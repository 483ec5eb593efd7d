"""The form on the result page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from feedback.models import Feedback
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prediction() -> Prediction:
    return stored_prediction()


def _give(client: Client, prediction: Prediction, **changes: str) -> Any:
    payload = {"verdict": "wrong", "expected_label": " lungo ", "comment": "Too long.\nReally."} | changes
    return client.post(f"/predictions/{prediction.id}/feedback/", payload)


def test_it_works(client: Client, prediction: Prediction, settings: Settings) -> None:
    response = _give(client, prediction)
    assert (response.status_code, response["Location"]) == (302, f"/predictions/{prediction.id}/")
    feedback = Feedback.objects.get()
    assert feedback.prediction == prediction
    assert (feedback.verdict, feedback.expected_label) == ("wrong", "lungo")
    assert feedback.comment.splitlines() == ["Too long.", "Really."]
    (line,) = Path(settings.FEEDBACK_FILE).read_text().splitlines()
    assert json.loads(line)["expected"] == "lungo"
    assert "Thank you." in client.get(response["Location"]).text


def test_without_words(client: Client, prediction: Prediction) -> None:
    assert _give(client, prediction, expected_label="", comment="").status_code == 302
    assert Feedback.objects.get().comment == ""


def test_a_second_statement(client: Client, prediction: Prediction) -> None:
    _give(client, prediction)
    _give(client, prediction, verdict="right")
    assert sorted(Feedback.objects.values_list("verdict", flat=True)) == ["right", "wrong"]


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": ""},
        {"verdict": "perhaps"},
        {"expected_label": "x" * 201},
        {"comment": "x" * 2001},
        {"comment": "NUL \x00"},
    ],
)
def test_not_valid(client: Client, prediction: Prediction, changes: dict[str, str], settings: Settings) -> None:
    response = _give(client, prediction, **changes)
    assert response.status_code == 400
    assert 'role="alert"' in response.text and "<details" in response.text
    assert 'value=" lungo "' in _give(client, prediction, verdict="").text, "nobody likes to type twice"
    assert "espresso</h1>" in response.text, "the answer it speaks of is still there"
    assert not Feedback.objects.exists()
    assert not Path(settings.FEEDBACK_FILE).exists()


@pytest.mark.parametrize("state", ["queued", "running", "failed", "expired", "cancelled"])
def test_no_answer_to_speak_of(client: Client, state: str) -> None:
    response = _give(client, stored_prediction(state=state))
    assert response.status_code == 302
    assert not Feedback.objects.exists()


def test_unknown(client: Client) -> None:
    assert client.post(f"/predictions/{uuid4()}/feedback/").status_code == 404


def test_other_methods(client: Client, prediction: Prediction) -> None:
    assert client.get(f"/predictions/{prediction.id}/feedback/").status_code == 405


def test_foreign_forms(prediction: Prediction) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert _give(browser, prediction).status_code == 403
    token = browser.get(prediction.get_absolute_url()).context["csrf_token"]
    assert _give(browser, prediction, csrfmiddlewaretoken=str(token)).status_code == 302
    assert Feedback.objects.count() == 1
