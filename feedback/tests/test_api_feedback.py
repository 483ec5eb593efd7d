from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from feedback.models import Feedback
from predictions import erasing
from predictions.models import Prediction
from predictions.tests.fakes import stored_prediction
from worker.inference.repository import Repository

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def prediction() -> Prediction:
    return stored_prediction()


def _payload(about: Prediction, **changes: object) -> dict[str, object]:
    values = {"prediction": str(about.id), "verdict": "wrong", "expected_label": "cup", "comment": "Hm."}
    return values | {"expected_words": "a demitasse"} | changes


def _post(client: Client, payload: object) -> Any:
    return client.post("/api/feedback", payload, content_type="application/json")


def test_stores_and_returns_the_statement(client: Client, prediction: Prediction, settings: Settings) -> None:
    response = _post(client, _payload(prediction))
    assert (response.status_code, response.json()) == (201, {**_payload(prediction), "expected_label_id": ""})
    feedback = Feedback.objects.get()
    assert (feedback.prediction_id, feedback.verdict, feedback.expected_label) == (prediction.id, "wrong", "cup")
    assert json.loads(Path(settings.FEEDBACK_FILE).read_text())["prediction"] == str(prediction.id)


@pytest.mark.parametrize("verdict", Feedback.Verdict.values)
def test_verdict_alone_is_enough(client: Client, prediction: Prediction, verdict: str) -> None:
    response = _post(client, {"prediction": str(prediction.id), "verdict": verdict})
    assert (response.status_code, response.json()["comment"]) == (201, "")


@pytest.mark.usefixtures("models")
def test_accepts_synonym(client: Client, prediction: Prediction) -> None:
    response = _post(client, _payload(prediction, expected_label="husky"))
    assert (response.status_code, response.json()["expected_label"]) == (201, "Eskimo_dog")


def test_accepts_the_id_of_a_label(client: Client, prediction: Prediction, models: Repository) -> None:
    Prediction.objects.update(model_version=str(models.active()))
    response = _post(client, _payload(prediction, expected_label="", expected_label_id="n02012849"))
    answer = response.json()
    assert (response.status_code, answer["expected_label"]) == (201, "crane (bird)")
    assert answer["expected_label_id"] == "n02012849"


@pytest.mark.usefixtures("models")
def test_takes_the_ids_that_the_search_offers_after_the_version_was_removed(client: Client) -> None:
    prediction = stored_prediction(model_version="removed@1")
    choices = client.get("/api/labels", {"q": "crane", "prediction": str(prediction.pk)}).json()["labels"]
    assert choices[0]["label_id"] == "n02012849"
    response = _post(client, _payload(prediction, expected_label="", expected_label_id="n02012849"))
    assert (response.status_code, response.json()["expected_label"]) == (201, "crane (bird)")


@pytest.mark.usefixtures("models")
def test_rejects_an_unknown_id(client: Client, prediction: Prediction) -> None:
    response = _post(client, _payload(prediction, expected_label="", expected_label_id="n99999999"))
    assert (response.status_code, response.json()["code"]) == (400, "unknown-label")


def test_rejects_a_label_and_an_id(client: Client, prediction: Prediction) -> None:
    response = _post(client, _payload(prediction, expected_label_id="n02012849"))
    assert (response.status_code, list(response.json()["errors"])) == (400, ["expected_label"])


@pytest.mark.usefixtures("models")
def test_says_what_a_shared_name_may_mean(client: Client, prediction: Prediction) -> None:
    response = _post(client, _payload(prediction, expected_label="crane"))
    assert (response.status_code, response.json()["code"]) == (400, "unknown-label")
    assert response.json()["detail"] == "“crane” may be “crane (bird)” or “crane (machine)”. Please send one of them."


def test_rejects_unknown_label(client: Client, prediction: Prediction) -> None:
    response = _post(client, _payload(prediction, expected_label="lungo"))
    assert (response.status_code, response.json()["code"]) == (400, "unknown-label")
    assert not Feedback.objects.exists()


@pytest.mark.parametrize("verdict", ["right", "unsure"])
@pytest.mark.parametrize("field", ["expected_label", "expected_words"])
def test_rejects_expectation_without_wrong(client: Client, prediction: Prediction, verdict: str, field: str) -> None:
    response = _post(client, {"prediction": str(prediction.id), "verdict": verdict, field: "cup"})
    assert (response.status_code, response.json()["code"]) == (400, "label-without-wrong")
    assert not Feedback.objects.exists()


def test_statement_about_a_deleted_picture_is_refused_as_documented(client: Client, prediction: Prediction) -> None:
    erasing.images_erase([prediction.image_id])
    response = _post(client, _payload(prediction))
    assert (response.status_code, response.json()["code"]) == (410, "deleted")
    documented = client.get("/api/schema?format=json").json()["paths"]["/api/feedback"]["post"]["responses"]
    assert "`deleted`" in documented["410"]["description"]


def test_second_statement_of_an_author_replaces_the_first(client: Client, prediction: Prediction) -> None:
    for author, verdict in [("ada", "wrong"), ("ben", "unsure"), ("ada", "right")]:
        payload = {"prediction": str(prediction.id), "verdict": verdict, "author": author}
        assert "author" not in _post(client, payload).json()
    assert sorted(Feedback.objects.current().values_list("verdict", flat=True)) == ["right", "unsure"]


def test_replaces_control_characters(client: Client, prediction: Prediction) -> None:
    response = _post(client, _payload(prediction, comment="a\r\nb\x1b[2J\tc\x85."))
    assert response.json()["comment"] == Feedback.objects.get().comment == "a\nb\ufffd[2J\tc\ufffd."


def test_accepts_form(client: Client, prediction: Prediction) -> None:
    assert client.post("/api/feedback", _payload(prediction)).status_code == 201


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"verdict": "perhaps"}, "verdict"),
        ({"verdict": None}, "verdict"),
        ({"prediction": "1"}, "prediction"),
        ({"expected_label": "x" * 201}, "expected_label"),
        ({"expected_words": "x" * 201}, "expected_words"),
        ({"author": "x" * 101}, "author"),
        ({"comment": "x" * 2001}, "comment"),
        ({"comment": "\x00"}, "comment"),
        ({"comment": "\ud800"}, "comment"),
        ({"verdict": "\ud800"}, "verdict"),
        ({"comment": ["x"]}, "comment"),
    ],
)
def test_rejects_invalid_field(client: Client, prediction: Prediction, changes: dict[str, object], field: str) -> None:
    response = _post(client, json.dumps(_payload(prediction, **changes)))
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert (response.json()["code"], list(response.json()["errors"])) == ("invalid", [field])
    assert not Feedback.objects.exists()


@pytest.mark.parametrize("body", ["", "{", "[]", "5", "null", '{"prediction": NaN}'])
def test_rejects_body_that_is_no_json_object(client: Client, body: str) -> None:
    assert _post(client, body).status_code == 400


@pytest.mark.parametrize("body", ["[" * 100_000, '{"comment": ' + '{"x": ' * 100_000])
def test_rejects_deeply_nested_json(client: Client, body: str) -> None:
    response = _post(client, body)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


def test_rejects_prediction_without_answer(client: Client) -> None:
    response = _post(client, _payload(stored_prediction(state="queued")))
    assert (response.status_code, response.json()["code"]) == (409, "no-answer")
    assert not Feedback.objects.exists()


def test_unknown_prediction_is_404(client: Client, prediction: Prediction) -> None:
    response = _post(client, _payload(prediction, prediction=str(uuid4())))
    assert (response.status_code, response.json()["code"]) == (404, "not-found")


def test_rejects_other_methods_and_content_types(client: Client) -> None:
    assert client.get("/api/feedback").status_code == 405
    assert client.post("/api/feedback", b"x", content_type="text/plain").status_code == 415


def test_rejects_too_large_body(client: Client, settings: Settings) -> None:
    body = '{"comment": "' + "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1) + '"}'
    response = _post(client, body)
    assert (response.status_code, response["Content-Type"]) == (413, "application/problem+json")


def test_rejects_compressed_body(client: Client) -> None:
    headers = {"Content-Encoding": "gzip"}
    response = client.post("/api/feedback", b"\x1f\x8b", content_type="application/json", headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")
    assert "gzip" in response.json()["detail"]


def test_rejection_of_another_type_says_what_to_send(client: Client) -> None:
    response = client.post("/api/feedback", b"wrong", content_type="text/plain")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")
    for accepted in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert accepted in response.json()["detail"]


def test_rejects_too_many_fields(client: Client, prediction: Prediction) -> None:
    response = client.post("/api/feedback", _payload(prediction) | {f"field{number}": "" for number in range(1001)})
    assert (response.status_code, response.json()["code"]) == (400, "too-many-fields")


def test_rejects_file_as_comment(client: Client, prediction: Prediction) -> None:
    response = client.post("/api/feedback", _payload(prediction, comment=ContentFile(b"Hm.", "comment.txt")))
    assert (response.status_code, list(response.json()["errors"])) == (400, ["comment"])


def test_number_of_queries(
    client: Client, prediction: Prediction, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # One query for the prediction; one transaction for the lock on the image, the prediction again (it may have been
    # erased before the lock), the earlier statement, the row and its case; a second transaction for `mirrored_at`;
    # whether the author was merged meanwhile.
    with django_assert_num_queries(18):
        _post(client, _payload(prediction))
