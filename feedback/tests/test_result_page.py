"""What the result page shows of what was said, and of what was decided."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction
from review.decisions import DecisionRequest, case_decide
from review.models import Case, Decision
from review.tests.cases import own_prediction, reviewer_named

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = "<legend>Is this right?</legend>"


@pytest.fixture
def prediction() -> Prediction:
    return own_prediction()


def _say(client: Client, prediction: Prediction, verdict: str = "wrong", **values: str) -> None:
    response = client.post(f"/predictions/{prediction.id}/feedback/", {"verdict": verdict} | values)
    assert response.status_code == 302


def _decide(prediction: Prediction, kind: Decision.Kind, label: str = "") -> None:
    case = Case.objects.get(image=prediction.image)
    case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest(kind, label))


def _page(client: Client, prediction: Prediction) -> str:
    """The page, with one blank between words."""
    response = client.get(prediction.get_absolute_url())
    assert response.status_code == 200
    return " ".join(unescape(response.text).split())


def test_it_works(client: Client, prediction: Prediction, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(2):  # the prediction; the case: who has no cookie has not said anything
        page = _page(client, prediction)
    assert QUESTION in page and "<details" not in page and "You said" not in page
    assert f'data-combobox="/api/labels" data-prediction="{prediction.id}"' in page
    assert '<option value="coffee mug"></option>' in page and '<option value="espresso">' not in page


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"verdict": "right"}, "yes, the answer is right."),
        ({"verdict": "unsure"}, "not sure."),
        ({"verdict": "wrong"}, "no, the answer is wrong."),
        ({"verdict": "wrong", "expected_label": "coffee_mug"}, "no, it is “coffee mug”."),
        ({"verdict": "wrong", "expected_words": "<b> lungo"}, "no, it is “<b> lungo”."),
        (
            {"verdict": "wrong", "expected_label": "cup", "expected_words": "demitasse"},
            "no, it is “cup”, in other words “demitasse”.",
        ),
    ],
)
def test_what_was_said(client: Client, prediction: Prediction, values: dict[str, Any], said: str) -> None:
    _say(client, prediction, **values)
    page = _page(client, prediction)
    assert f"You said: {said}" in page
    assert "<summary>Change</summary>" in page and f'value="{values["verdict"]}" required checked' in page
    assert "You said" not in _page(Client(), prediction), "that is for those who said it"


def test_the_form_is_filled_in(client: Client, prediction: Prediction) -> None:
    _say(client, prediction, expected_label="coffee_mug", expected_words="“x” & y", comment="\n  two\nlines")
    response = client.get(prediction.get_absolute_url())
    assert 'value="coffee mug"' in response.text and 'value="“x” &amp; y"' in response.text
    assert ">\ntwo\nlines</textarea>" in response.text


def test_changed(client: Client, prediction: Prediction) -> None:
    _say(client, prediction, expected_label="cup")
    _say(client, prediction, "right")
    page = _page(client, prediction)
    assert "You said: yes" in page and "cup”" not in page


@pytest.mark.parametrize(
    ("kind", "label", "decided"),
    [
        (Decision.Kind.RIGHT, "", "A reviewer confirmed the answer: “espresso”."),
        (Decision.Kind.CORRECTED, "coffee_mug", "A reviewer looked at this: it is “coffee mug”."),
        (Decision.Kind.UNUSABLE, "", "A reviewer looked at this: the picture cannot be used."),
    ],
)
@pytest.mark.usefixtures("models")
def test_decided(client: Client, prediction: Prediction, kind: Decision.Kind, label: str, decided: str) -> None:
    _say(client, prediction, expected_label="cup")
    _decide(prediction, kind, label)
    page = _page(client, prediction)
    assert decided in page and "You said: no, it is “cup”." in page
    assert QUESTION not in page, "too late to change it"
    others = _page(Client(), prediction)
    assert decided in others and "<summary>Do you see it differently?</summary>" in others and QUESTION in others


@pytest.mark.usefixtures("models")
def test_a_decision_on_another_answer_to_the_same_picture(client: Client, prediction: Prediction) -> None:
    """What a reviewer confirmed was the other model's answer; to this one it is a correction, and the reverse."""
    other = stored_prediction(prediction.image, label="cup", top=[["cup", 0.6]], score=0.6, model_version="other@1")
    _say(client, other)
    _decide(prediction, Decision.Kind.RIGHT)
    assert "A reviewer confirmed the answer: “cup”." in _page(client, other)
    assert "A reviewer looked at this: it is “cup”." in _page(client, prediction)


def test_flagged_is_not_decided(client: Client, prediction: Prediction) -> None:
    _say(client, prediction)
    case = Case.objects.get(image=prediction.image)
    case_decide(
        case_id=case.pk, reviewer=reviewer_named(), verdict=DecisionRequest(Decision.Kind.FLAGGED, note="Look again.")
    )
    page = _page(client, prediction)
    assert 'class="decision"' not in page and "<summary>Change</summary>" in page
