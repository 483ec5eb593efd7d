"""The feedback form of the result page: submitting it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from feedback.forms import FeedbackForm
from feedback.models import Feedback
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prediction() -> Prediction:
    return stored_prediction()


def _give(client: Client, prediction: Prediction, **changes: Any) -> Any:
    payload = {"verdict": "wrong", "expected": " cup ", "comment": "Too small.\r\nReally."} | changes
    return client.post(f"/predictions/{prediction.id}/feedback/", payload)


def test_stores_the_statement(client: Client, prediction: Prediction, settings: Settings) -> None:
    response = _give(client, prediction)
    assert (response.status_code, response["Location"]) == (302, f"/predictions/{prediction.id}/#feedback")
    assert response["X-Robots-Tag"] == "noindex"
    feedback = Feedback.objects.get()
    assert feedback.prediction == prediction
    assert (feedback.verdict, feedback.expected_label, feedback.expected_words) == ("wrong", "cup", "")
    assert feedback.comment == "Too small.\nReally."
    (line,) = Path(settings.FEEDBACK_FILE).read_text().splitlines()
    assert json.loads(line)["expected"] == "cup"
    assert "Thank you. A reviewer will look at it." in client.get(response["Location"]).text


def test_label_and_comment_are_optional(client: Client, prediction: Prediction) -> None:
    assert _give(client, prediction, expected="", comment="").status_code == 302
    assert Feedback.objects.get().comment == ""


def test_stores_expected_words(client: Client, prediction: Prediction) -> None:
    _give(client, prediction, expected=" a demitasse ")
    feedback = Feedback.objects.get()
    assert (feedback.expected_label, feedback.expected_words) == ("", "a demitasse")


def test_right_is_not_announced_as_reviewed(client: Client, prediction: Prediction) -> None:
    page = client.get(_give(client, prediction, verdict="right")["Location"]).text
    assert "Thank you." in page and "A reviewer will look at it" not in page, "it opens no case"


@pytest.mark.parametrize("verdict", ["right", "unsure"])
def test_drops_hidden_expectation_without_wrong(client: Client, prediction: Prediction, verdict: str) -> None:
    hidden = {"expected": "x" * 201, "expected_words": "x" * 201}
    assert _give(client, prediction, verdict=verdict, **hidden).status_code == 302
    feedback = Feedback.objects.get()
    assert (feedback.expected_label, feedback.expected_words) == ("", "")
    assert feedback.comment, "a comment goes with any verdict"


def test_second_statement_replaces_the_first(client: Client, prediction: Prediction) -> None:
    _give(client, prediction)
    _give(client, prediction, verdict="right")
    _give(Client(), prediction, verdict="unsure")
    assert sorted(Feedback.objects.current().values_list("verdict", flat=True)) == ["right", "unsure"]
    assert Feedback.objects.count() == 3


def test_sets_visitor_cookie_only_after_feedback(client: Client, prediction: Prediction) -> None:
    client.get(prediction.get_absolute_url())
    assert "visitor" not in client.cookies
    _give(client, prediction, verdict="perhaps")
    assert "visitor" not in client.cookies
    _give(client, prediction)
    assert client.cookies["visitor"]["httponly"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"verdict": ""}, "verdict"),
        ({"verdict": "perhaps"}, "verdict"),
        ({"expected": "x" * 201}, "expected"),
        ({"expected": "espresso"}, "expected"),
        ({"expected_words": "x" * 201}, "expected_words"),
        ({"comment": "x" * 2001}, "comment"),
    ],
)
def test_shows_form_again_with_error(
    client: Client, prediction: Prediction, changes: dict[str, str], field: str, settings: Settings
) -> None:
    response = _give(client, prediction, **{"comment": "Too <small>."} | changes)
    assert response.status_code == 400
    assert 'role="alert"' in response.text and f'id="{field}-error"' in response.text
    assert response.text.count(f'aria-describedby="{field}-error"') == 1
    assert field == "comment" or "Too &lt;small&gt;.</textarea>" in response.text, (
        "the form keeps what the visitor typed"
    )
    assert field == "verdict" or 'value="wrong" required checked' in response.text
    assert "espresso</h1>" in response.text, "the page still shows the answer"
    assert not Feedback.objects.exists()
    assert not Path(settings.FEEDBACK_FILE).exists()


@pytest.mark.usefixtures("models")
def test_accepts_synonym(client: Client, prediction: Prediction) -> None:
    assert _give(client, prediction, expected="husky").status_code == 302
    assert Feedback.objects.get().expected_label == "Eskimo_dog"


@pytest.mark.parametrize("state", ["queued", "running", "failed", "expired", "cancelled"])
def test_stores_nothing_without_an_answer(client: Client, state: str) -> None:
    response = _give(client, stored_prediction(state=state))
    assert response.status_code == 302
    assert not Feedback.objects.exists()


@pytest.mark.parametrize("name", ["comment", "attachment"])
def test_rejects_files(client: Client, prediction: Prediction, name: str) -> None:
    """Otherwise the text in a file would be lost silently."""
    response = _give(client, prediction, **{name: ContentFile(b"Too small.", "comment.txt")})
    assert response.status_code == 400 and "Files are not stored." in response.text
    assert not Feedback.objects.exists()


def test_rejects_too_large_body(client: Client, prediction: Prediction, settings: Settings) -> None:
    response = _give(client, prediction, comment="x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    assert response.status_code == 413 and "larger than what is accepted" in response.text


def test_rejects_too_many_fields(client: Client, prediction: Prediction) -> None:
    response = _give(client, prediction, **{f"field{number}": "" for number in range(1001)})
    assert response.status_code == 400 and "more fields than are accepted" in response.text


@pytest.mark.parametrize(
    ("charset", "comment"),
    [
        ("utf-8", b"+2AA-"),
        ("utf-7", "\ufffd".encode()),
        ("bz2", b"+2AA-"),
        ("idna", b"+2AA-"),
        ("Punycode", b"+2AA-"),
    ],
)
def test_any_charset_gives_storable_text(client: Client, prediction: Prediction, charset: str, comment: bytes) -> None:
    """UTF-7 can express half a surrogate pair, which cannot be stored. Codecs that are not for forms are ignored."""
    fields = [("verdict", "right"), ("comment", "+2AA-")]
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields]
    content_type = f"multipart/form-data; boundary=x; charset={charset}"
    address = f"/predictions/{prediction.id}/feedback/"
    assert client.generic("POST", address, "".join(parts) + "--x--\r\n", content_type).status_code == 302
    assert Feedback.objects.get().comment.encode() == comment


def test_unknown_prediction_is_404(client: Client) -> None:
    assert client.post(f"/predictions/{uuid4()}/feedback/").status_code == 404


def test_address_leads_to_the_result_page_without_the_form(client: Client, prediction: Prediction) -> None:
    """A rejected form leaves this address in the browser."""
    response = client.get(f"/predictions/{prediction.id}/feedback/")
    assert (response.status_code, response["Location"]) == (303, f"/predictions/{prediction.id}/")
    assert client.put(f"/predictions/{prediction.id}/feedback/").status_code == 405


def test_requires_csrf_token(prediction: Prediction) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert _give(browser, prediction).status_code == 403
    token = browser.get(prediction.get_absolute_url()).context["csrf_token"]
    assert _give(browser, prediction, csrfmiddlewaretoken=str(token)).status_code == 302
    assert Feedback.objects.count() == 1


@given(st.text())
def test_any_text_gives_storable_text(text: str) -> None:
    form = FeedbackForm({"verdict": "wrong", "expected_words": text[:200], "comment": text})
    if form.is_valid():
        for name in ("expected_words", "comment"):
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", form.cleaned_data[name])
    else:
        assert len(text) > 2000
