"""Feedback after a reviewer's decision: the result page shows the decision, and earlier statements stay as they are."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from feedback.models import Feedback
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction
from review.decisions import DecisionRequest, case_decide
from review.models import Case, Decision
from review.tests.cases import open_case, own_prediction, reviewer_named

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = "<legend>Is this right?</legend>"


@pytest.fixture
def prediction() -> Prediction:
    return own_prediction()


def _say(client: Client, prediction: Prediction, verdict: str = "wrong", **values: str) -> None:
    response = client.post(f"/predictions/{prediction.id}/feedback/", {"verdict": verdict} | values)
    assert response.status_code == 302


def _decide(prediction: Prediction, kind: Decision.Kind, label: str = "", note: str = "") -> None:
    case = Case.objects.get(image=prediction.image)
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest(kind, label, note=note))


def _page(client: Client, prediction: Prediction) -> str:
    """Returns the page with single blanks between words."""
    response = client.get(prediction.get_absolute_url())
    assert response.status_code == 200
    return " ".join(unescape(response.text).split())


def test_form_does_not_replace_a_statement(client: Client, prediction: Prediction) -> None:
    _say(client, prediction)
    _decide(prediction, Decision.Kind.UNUSABLE)
    _say(client, prediction, "right")
    assert "A reviewer has decided this already." in _page(client, prediction)
    assert Feedback.objects.get().verdict == "wrong"


def test_api_does_not_replace_a_statement(client: Client, prediction: Prediction) -> None:
    def post(verdict: str) -> Any:
        payload = {"prediction": str(prediction.id), "verdict": verdict, "author": "ada"}
        return client.post("/api/feedback", payload, content_type="application/json")

    assert post("wrong").status_code == 201
    _decide(prediction, Decision.Kind.UNUSABLE)
    response = post("right")
    assert (response.status_code, response.json()["code"]) == (409, "decided")
    assert Feedback.objects.get().verdict == "wrong"


@pytest.mark.parametrize(
    ("kind", "label", "decided"),
    [
        (Decision.Kind.RIGHT, "", "A reviewer confirmed the answer: “espresso”."),
        (Decision.Kind.CORRECTED, "coffee_mug", "A reviewer looked at this: it is “coffee mug”."),
        (Decision.Kind.UNUSABLE, "", "A reviewer looked at this: the picture cannot be used."),
    ],
)
@pytest.mark.usefixtures("models")
def test_page_shows_the_decision(
    client: Client, prediction: Prediction, kind: Decision.Kind, label: str, decided: str
) -> None:
    _say(client, prediction, expected_label="cup")
    _decide(prediction, kind, label)
    page = _page(client, prediction)
    assert decided in page and "You said: no, it is “cup”." in page
    assert QUESTION not in page, "it is too late to change the statement"
    others = _page(Client(), prediction)
    assert decided in others and "<summary>Do you see it differently?</summary>" in others and QUESTION in others


@pytest.mark.usefixtures("models")
def test_confirming_one_answer_corrects_another(client: Client, prediction: Prediction) -> None:
    """Two models gave different answers for one picture. The reviewer confirmed one of them."""
    other = stored_prediction(prediction.image, label="cup", top=[["cup", 0.6]], score=0.6, model_version="other@1")
    _say(client, other)
    _decide(prediction, Decision.Kind.RIGHT)
    assert "A reviewer confirmed the answer: “cup”." in _page(client, other)
    assert "A reviewer looked at this: it is “cup”." in _page(client, prediction)


def test_flag_is_not_shown_as_decision(client: Client, prediction: Prediction) -> None:
    _say(client, prediction)
    _decide(prediction, Decision.Kind.FLAGGED, note="Look again.")
    page = _page(client, prediction)
    assert 'class="decision"' not in page and "<summary>Change</summary>" in page


def test_the_headline_follows_the_decision(client: Client, prediction: Prediction) -> None:
    _say(client, prediction, expected="cup")
    assert '<h1 id="answer">cup</h1>' in _page(client, prediction)
    _decide(prediction, Decision.Kind.CORRECTED, "coffee_mug")
    page = _page(client, prediction)
    assert '<h1 id="answer">coffee mug</h1> <p class="lead">A reviewer\'s decision. The model said “espresso”' in page


def test_review_is_announced_only_until_the_decision() -> None:
    case = open_case()

    def said_after_complaining() -> str:
        visitor = Client()
        visitor.post(f"/predictions/{case.prediction_id}/feedback/", {"verdict": "wrong"})
        return str(visitor.get(f"/predictions/{case.prediction_id}/").text)

    assert "Thank you. A reviewer will look at it." in said_after_complaining()
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest("right"))
    page = said_after_complaining()
    assert "Thank you." in page and "A reviewer will look at it" not in page
