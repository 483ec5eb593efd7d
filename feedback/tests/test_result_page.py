"""The feedback section of the result page."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = "Is this right?</h2>"


@pytest.fixture
def prediction() -> Prediction:
    return stored_prediction()


def _say(client: Client, prediction: Prediction, verdict: str = "wrong", **values: str) -> None:
    response = client.post(f"/predictions/{prediction.id}/feedback/", {"verdict": verdict} | values)
    assert response.status_code == 302


def _page(client: Client, prediction: Prediction) -> str:
    """Returns the page with single blanks between words."""
    response = client.get(prediction.get_absolute_url())
    assert response.status_code == 200
    return " ".join(unescape(response.text).split())


def test_asks_a_new_visitor(
    client: Client, prediction: Prediction, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):  # the prediction and the case; without a cookie there is no statement to find
        page = _page(client, prediction)
    assert QUESTION in page and "<details open" not in page and "You said" not in page
    for verdict, name in (("right", "Yes"), ("unsure", "Not sure")):
        assert f'<button class="button" name="verdict" value="{verdict}">{name}</button>' in page
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
def test_shows_visitors_their_statement(
    client: Client, prediction: Prediction, values: dict[str, Any], said: str
) -> None:
    _say(client, prediction, **values)
    page = _page(client, prediction)
    assert f"You said: {said}" in page
    assert "<summary>Change</summary>" in page and f'value="{values["verdict"]}" required checked' in page
    assert "You said" not in _page(Client(), prediction), "other visitors do not see it"


def test_fills_in_the_form_with_the_statement(client: Client, prediction: Prediction) -> None:
    _say(client, prediction, expected="coffee_mug", expected_words="“x” & y", comment="\n  two\nlines")
    response = client.get(prediction.get_absolute_url())
    assert 'name="expected" ' in response.text and 'name="expected_words" ' in response.text
    assert 'value="coffee mug"' in response.text and 'value="“x” &amp; y"' in response.text
    assert ">\ntwo\nlines</textarea>" in response.text


def test_fills_in_the_only_field_with_own_words(client: Client, prediction: Prediction) -> None:
    _say(client, prediction, expected="a demitasse")
    response = client.get(prediction.get_absolute_url())
    assert 'value="a demitasse"' in response.text and 'name="expected_words"' not in response.text


def test_offers_the_other_best_labels_as_buttons(client: Client, prediction: Prediction) -> None:
    page = _page(client, prediction)
    for label, name in (("cup", "cup"), ("coffee_mug", "coffee mug")):
        assert f'<button class="button" form="other-label" name="expected" value="{label}">{name}</button>' in page
    assert 'name="expected" value="espresso"' not in page, "the model has said that"


def test_offers_labels_in_place_of_an_earlier_statement(client: Client, prediction: Prediction) -> None:
    _say(client, prediction, "right")
    page = _page(client, prediction)
    assert 'form="other-label" name="expected" value="cup"' in page and '<form id="other-label"' in page


def test_offers_no_labels_if_the_answer_has_one(client: Client) -> None:
    page = _page(client, stored_prediction(top=[["espresso", 0.95]]))
    assert QUESTION in page and "Is it one of these?" not in page


def test_does_not_suggest_the_answer(client: Client) -> None:
    """Two classes share the label `crane`."""
    prediction = stored_prediction(label="crane", top=[["crane", 0.6], ["cup", 0.3], ["crane", 0.05]])
    page = _page(client, prediction)
    assert '<option value="cup"></option>' in page and '<option value="crane">' not in page
    assert 'name="expected" value="cup"' in page and 'name="expected" value="crane"' not in page
    assert 'data-exclude="crane"' in page


def test_shows_the_latest_statement(client: Client, prediction: Prediction) -> None:
    _say(client, prediction, expected_label="cup")
    _say(client, prediction, "right")
    page = _page(client, prediction)
    assert "You said: yes" in page and "cup”" not in page


@pytest.mark.parametrize(
    ("values", "headline", "explanation"),
    [
        ({"verdict": "right"}, "espresso", "95.1% sure"),
        ({"verdict": "unsure"}, "espresso", "95.1% sure"),
        ({"verdict": "wrong"}, "Not “espresso”", "Your correction. The model said “espresso” and was 95.1% sure."),
        (
            {"verdict": "wrong", "expected": "coffee mug"},
            "coffee mug",
            "Your correction. The model said “espresso” and was 95.1% sure.",
        ),
        (
            {"verdict": "wrong", "expected": "<b>lungo"},
            "<b>lungo",
            "Your correction. The model said “espresso” and was 95.1% sure.",
        ),
    ],
)
def test_the_headline_follows_the_visitors_correction(
    client: Client, prediction: Prediction, values: dict[str, str], headline: str, explanation: str
) -> None:
    _say(client, prediction, **values)
    page = _page(client, prediction)
    assert f'<h1 id="answer">{headline}</h1> <p class="lead">{explanation}</p>' in page
    assert '<h1 id="answer">espresso</h1>' in _page(Client(), prediction), "the correction is the visitor's own"


@pytest.mark.parametrize(("verdict", "headline"), [("right", "espresso"), ("unsure", "Perhaps espresso")])
def test_a_confirmed_answer_is_uncertain_no_longer(client: Client, verdict: str, headline: str) -> None:
    prediction = stored_prediction(score=0.2)
    assert '<h1 id="answer">Perhaps espresso</h1>' in _page(client, prediction)
    _say(client, prediction, verdict)
    assert f'<h1 id="answer">{headline}</h1>' in _page(client, prediction)
