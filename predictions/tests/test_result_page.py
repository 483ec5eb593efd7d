from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from predictions import views
from predictions.admission import backpressure
from predictions.models import Prediction
from predictions.tests.fakes import FakeClassifier, stored_prediction, upload

pytestmark = pytest.mark.django_db
REFRESH = '<meta http-equiv="refresh"'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PAGE_WAIT_SECONDS", 0)


def _page(client: Client, prediction: Prediction) -> str:
    response = client.get(prediction.get_absolute_url())
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return response.text


def test_shows_the_answer(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    prediction = stored_prediction(label="Eskimo_dog", score=0.63942, top=[["Eskimo_dog", 0.63942], ["malamute", 0.2]])
    with django_assert_num_queries(2):  # the prediction; the decision on its image
        page = _page(client, prediction)
    assert "Eskimo dog</h1>" in page and "63.9% sure" in page
    assert "malamute" in page and 'width="20.0%"' in page
    assert "Answered by fake-net@1 in 0 ms." in page
    assert f'src="/predictions/{prediction.id}/picture"' in page
    assert f'action="/predictions/{prediction.id}/feedback/"' in page
    assert REFRESH not in page


@pytest.mark.parametrize("state", Prediction.WAITING)
def test_a_waiting_page_reloads(client: Client, state: str) -> None:
    page = _page(client, stored_prediction(state=state))
    assert REFRESH in page and 'role="status"' in page and "/feedback/" not in page


def test_a_waiting_page_reloads_when_backpressure_says(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure, "reload_seconds", lambda waited: 7 if 0 <= waited < 60 else 0)
    assert f'{REFRESH} content="7">' in _page(client, stored_prediction(state="queued"))


def test_shows_the_error_of_a_failed_prediction(client: Client) -> None:
    page = _page(client, stored_prediction(state="failed", error_code="undecodable", error="The pixels <are> corrupt."))
    assert "The pixels &lt;are&gt; corrupt." in page and REFRESH not in page and "/feedback/" not in page


@pytest.mark.parametrize("state", ["expired", "cancelled"])
def test_shows_that_a_prediction_expired_or_was_cancelled(client: Client, state: str) -> None:
    page = _page(client, stored_prediction(state=state))
    assert f"This prediction {'was' if state == 'cancelled' else 'has'} {state}" in page and REFRESH not in page


def test_escapes_file_names(client: Client) -> None:
    page = _page(client, stored_prediction(file_name='<script>"alert"</script>.png'))
    assert "<script>" not in page


def test_does_not_round_a_score_up_to_100_percent(client: Client) -> None:
    assert "99.9% sure" in _page(client, stored_prediction(score=0.99999))


def test_unknown_predictions_are_404(client: Client) -> None:
    assert client.get(f"/predictions/{uuid4()}/").status_code == 404
    assert client.get("/predictions/1/").status_code == 404
    assert client.post(f"/predictions/{uuid4()}/").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_the_page_waits_for_the_answer(client: Client, worker: FakeClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PAGE_WAIT_SECONDS", 20)
    page = client.post("/", {"file": upload()}, follow=True).text
    assert "espresso</h1>" in page and REFRESH not in page
