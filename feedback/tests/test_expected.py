"""What people say the picture shows: a label of the version that answered, or their own words."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from feedback.expected import MAX_LENGTH
from feedback.models import Feedback
from feedback.services import feedback_give
from predictions.exceptions import RequestRejected
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("two_versions")]

HUSKY: dict[str, Any] = {"label": "Eskimo_dog", "top": [["Eskimo_dog", 0.9], ["dingo", 0.05], ["Eskimo_dog", 0.01]]}


@pytest.fixture
def prediction() -> Prediction:
    return stored_prediction(**HUSKY)


def _page(client: Client, prediction: Prediction, **values: str) -> Any:
    return client.post(f"/predictions/{prediction.id}/feedback/", {"verdict": "wrong"} | values)


def _api(client: Client, prediction: Prediction, **values: str) -> Any:
    payload = {"prediction": str(prediction.id), "verdict": "wrong"} | values
    return client.post("/api/feedback", payload, content_type="application/json")


def _stored() -> tuple[str, str]:
    """Returns the label and the words of the only statement."""
    statement = Feedback.objects.get()
    return statement.expected_label, statement.expected_words


# text, label, words
ONE_FIELD = [
    ("dingo", "dingo", ""),
    ("  DINGO ", "dingo", ""),
    ("golden retriever", "golden_retriever", ""),
    ("golden-retriever", "golden_retriever", ""),
    ("dingo\u200b", "dingo", ""),
    ("\u2067dingo\u2069", "dingo", ""),
    ("dog", "", "dog"),
    ("unicorn", "", "unicorn"),
    ("a dingo, I think", "", "a dingo, I think"),
    ("<b>dog</b>", "", "<b>dog</b>"),
    ("حصان وحيد القرن", "", "حصان وحيد القرن"),
    ("🦄", "", "🦄"),
    ("e\u0301lan", "", "e\u0301lan"),
    ("x" * MAX_LENGTH, "", "x" * MAX_LENGTH),
    ("", "", ""),
    (" \t \u3000", "", ""),
    ("\u200b\u200e\ufeff", "", ""),
]


@pytest.mark.parametrize(("text", "label", "words"), ONE_FIELD)
def test_page_keeps_any_text(client: Client, prediction: Prediction, text: str, label: str, words: str) -> None:
    assert _page(client, prediction, expected=text).status_code == 302
    assert _stored() == (label, words)


@pytest.mark.parametrize(("text", "label", "words"), ONE_FIELD)
def test_api_keeps_any_text(client: Client, prediction: Prediction, text: str, label: str, words: str) -> None:
    response = _api(client, prediction, expected=text)
    assert response.status_code == 201 and "expected" not in response.json()
    assert (response.json()["expected_label"], response.json()["expected_words"]) == _stored() == (label, words)


@pytest.mark.parametrize("text", ["x" * 201, "dingo " * 2000])
def test_rejects_too_long_text(client: Client, prediction: Prediction, text: str) -> None:
    response = _page(client, prediction, expected=text)
    assert response.status_code == 400 and 'id="expected-error" data-code="max_length"' in response.text
    response = _api(client, prediction, expected=text)
    assert (response.status_code, list(response.json()["errors"])) == (400, ["expected"])
    assert not Feedback.objects.exists()


def test_page_replaces_control_characters(client: Client, prediction: Prediction) -> None:
    _page(client, prediction, expected="a\x00b\x1b[2Jc")
    assert _stored() == ("", "a\ufffdb\ufffd[2Jc")


def test_api_rejects_nul(client: Client, prediction: Prediction) -> None:
    response = _api(client, prediction, expected="a\x00b")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


# --- Pages that a browser loaded before there was one field -----------------------------------------------


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ({"expected_label": "Dingo"}, ("dingo", "")),
        ({"expected_label": "dog"}, ("", "dog")),
        ({"expected_words": "my dog"}, ("", "my dog")),
        ({"expected_label": "", "expected_words": "my dog"}, ("", "my dog")),
        ({"expected_label": "dingo", "expected_words": "my dog"}, ("dingo", "my dog")),
        ({"expected_label": "dog", "expected_words": "my dog"}, ("", "dog, my dog")),
        ({"expected": "", "expected_label": "dingo"}, ("", "")),
    ],
)
def test_accepts_the_two_fields_of_earlier_pages(
    client: Client, prediction: Prediction, values: dict[str, str], stored: tuple[str, str]
) -> None:
    assert _page(client, prediction, **values).status_code == 302
    assert _stored() == stored


def test_rejects_two_texts_that_are_too_long_together(client: Client, prediction: Prediction) -> None:
    texts = {"expected": "x" * 150, "expected_words": "y" * 150}
    response = _page(client, prediction, **texts)
    assert response.status_code == 400 and 'data-code="words-too-long"' in response.text
    assert "x" * 150 in response.text and "y" * 150 in response.text, "the form keeps what the visitor typed"
    response = _api(client, prediction, **texts)
    assert (response.status_code, response.json()["code"]) == (400, "words-too-long")
    assert not Feedback.objects.exists()


# --- The answer itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Eskimo_dog", "Eskimo dog", "ESKIMO-DOG", "husky", "Husky", "Eskimo\u200b dog"])
@pytest.mark.parametrize("field", ["expected", "expected_label", "expected_words"])
def test_rejects_the_answer_as_what_it_is_instead(
    client: Client, prediction: Prediction, field: str, text: str
) -> None:
    response = _api(client, prediction, **{field: text})
    assert (response.status_code, response.json()["code"]) == (400, "label-is-the-answer")
    response = _page(client, prediction, **{field: text})
    assert response.status_code == 400
    assert 'id="expected-error" data-code="label-is-the-answer"' in response.text
    assert f'value="{text}"' in response.text, "the form keeps what the visitor typed"
    assert not Feedback.objects.exists()


def test_says_why_a_synonym_of_the_answer_is_rejected(client: Client, prediction: Prediction) -> None:
    page = unescape(_page(client, prediction, expected="husky").text)
    assert "“husky” is another name for “Eskimo dog”, which the model said." in page


def test_rejects_the_answer_beside_another_label(client: Client, prediction: Prediction) -> None:
    response = _api(client, prediction, expected_label="dingo", expected_words="Eskimo dog")
    assert (response.status_code, response.json()["code"]) == (400, "label-is-the-answer")


def test_rejects_the_answer_of_a_version_that_was_removed(client: Client) -> None:
    prediction = stored_prediction(label="Narwhal", top=[["Narwhal", 0.9], ["cup", 0.1]], model_version="gone@1")
    assert _api(client, prediction, expected="narwhal").json()["code"] == "label-is-the-answer"
    assert _api(client, prediction, expected="husky").json()["expected_label"] == "Eskimo_dog"


def test_tells_labels_apart_by_their_case(client: Client) -> None:
    """`Cardigan` is a dog, `cardigan` a garment."""
    prediction = stored_prediction(label="Cardigan", top=[["Cardigan", 0.9], ["cardigan", 0.1]])
    assert _api(client, prediction, expected="Cardigan").json()["code"] == "label-is-the-answer"
    assert _api(client, prediction, expected="cardigan").json()["expected_label"] == "cardigan"


def test_other_labels_of_the_answer_are_accepted(client: Client, prediction: Prediction) -> None:
    assert _api(client, prediction, expected_label="dingo").status_code == 201


# --- Every verdict with every field -----------------------------------------------------------------------


@pytest.mark.parametrize("comment", ["", "Hm."])
@pytest.mark.parametrize("words", ["", "my dog"])
@pytest.mark.parametrize("label", ["", "dingo", "Eskimo_dog"])
@pytest.mark.parametrize("verdict", Feedback.Verdict.values)
def test_only_wrong_goes_with_an_expectation(
    client: Client, prediction: Prediction, verdict: str, label: str, words: str, comment: str
) -> None:
    fields = {"verdict": verdict, "expected_label": label, "expected_words": words, "comment": comment}
    response = _api(client, prediction, **fields)
    if verdict != "wrong" and (label or words):
        assert (response.status_code, response.json()["code"]) == (400, "label-without-wrong")
    elif label == "Eskimo_dog":
        assert (response.status_code, response.json()["code"]) == (400, "label-is-the-answer")
    else:
        assert response.status_code == 201
    assert Feedback.objects.count() == (response.status_code == 201)


@pytest.mark.parametrize("verdict", ["right", "unsure"])
def test_rejects_one_field_without_wrong(client: Client, prediction: Prediction, verdict: str) -> None:
    response = _api(client, prediction, verdict=verdict, expected="dingo")
    assert (response.status_code, response.json()["code"]) == (400, "label-without-wrong")


def test_rejects_both_ways_to_name_a_label(client: Client, prediction: Prediction) -> None:
    response = _api(client, prediction, expected="dingo", expected_label="dingo")
    assert (response.status_code, list(response.json()["errors"])) == (400, ["expected"])


# --- The labels of the version that answered --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stored"), [("unicorn", ("unicorn", "")), ("Monoceros", ("unicorn", "")), ("husky", ("", "husky"))]
)
def test_page_knows_the_labels_of_the_version_that_answered(client: Client, text: str, stored: tuple[str, str]) -> None:
    earlier = stored_prediction(label="whippet", top=[["whippet", 0.9]], model_version="other-net@1")
    assert _page(client, earlier, expected=text).status_code == 302
    assert _stored() == stored


@pytest.mark.parametrize(("label", "is_known"), [("unicorn", True), ("cup", True), ("husky", False)])
def test_api_knows_the_labels_of_the_version_that_answered(client: Client, label: str, is_known: bool) -> None:
    earlier = stored_prediction(label="whippet", top=[["whippet", 0.9]], model_version="other-net@1")
    response = _api(client, earlier, expected_label=label)
    assert response.status_code == (201 if is_known else 400), response.json()
    if not is_known:
        assert response.json()["code"] == "unknown-label"


def test_service_rejects_an_unknown_label(prediction: Prediction) -> None:
    with pytest.raises(RequestRejected) as rejected:
        feedback_give(prediction=prediction, author="a", verdict="wrong", expected_label="unicorn")
    assert rejected.value.code == "unknown-label"
