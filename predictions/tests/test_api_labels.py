from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from predictions.tests.fakes import stored_prediction
from worker.inference.repository import Repository

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("models")]


def _get(client: Client, status: int = 200, **query: Any) -> Any:
    response = client.get("/api/labels", query)
    assert response.status_code == status, response.text
    assert response["Content-Type"] == ("application/json" if status == 200 else "application/problem+json")
    return response.json()


def _names(answer: dict[str, Any]) -> list[str]:
    return [choice["label"] for choice in answer["labels"]]


def test_finds_a_label_by_its_synonym(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        answer = _get(client, q="husky", limit=1)
    assert answer == {
        "query": "husky",
        "exact": "Eskimo_dog",
        "labels": [
            {
                "label": "Eskimo_dog",
                "label_id": "n02109961",
                "name": "Eskimo dog",
                "synonyms": ["husky"],
                "description": "",
                "reference_images": [],
                "matched": "husky",
                "score": None,
            }
        ],
    }


def test_lists_all_labels_without_a_text(client: Client) -> None:
    answer = _get(client)
    assert (answer["query"], answer["exact"], _names(answer)[:2]) == ("", None, ["abacus", "abaya"])
    assert len(answer["labels"]) == 20 and len(_get(client, limit=100)["labels"]) == 100


def test_the_labels_of_a_prediction_come_first(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    prediction = stored_prediction()
    with django_assert_num_queries(1):
        answer = _get(client, prediction=prediction.id, limit=4)
    assert _names(answer) == ["espresso", "cup", "coffee_mug", "abacus"]
    assert [choice["score"] for choice in answer["labels"]] == [0.9512, 0.03, 0.01, None]
    assert _names(_get(client, q="co", prediction=prediction.id))[0] == "coffee_mug"


def test_a_waiting_prediction_has_no_first_labels(client: Client) -> None:
    answer = _get(client, prediction=stored_prediction(state="queued").id, limit=1)
    assert _names(answer) == ["abacus"]


def test_may_be_cached_without_a_prediction(client: Client) -> None:
    assert client.get("/api/labels?q=cat")["Cache-Control"] == "max-age=60"
    waiting = stored_prediction(state="queued").id
    assert "Cache-Control" not in client.get(f"/api/labels?q=cat&prediction={waiting}")


def test_ignores_empty_parameters(client: Client) -> None:
    assert _get(client, q="", prediction="", limit="") == _get(client)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"prediction": 1}, "prediction"),
        ({"q": "x" * 201}, "q"),
        ({"q": "\x00"}, "q"),
        ({"exclude": "x" * 201}, "exclude"),
    ],
)
def test_rejects_invalid_parameters(client: Client, query: dict[str, Any], field: str) -> None:
    answer = _get(client, 400, **query)
    assert (answer["code"], list(answer["errors"])) == ("invalid", [field])


@pytest.mark.parametrize("exclude", ["Eskimo_dog", "eskimo dog", "HUSKY"])
@pytest.mark.parametrize("q", ["husky", "Eskimo dog", "eskimo"])
def test_leaves_out_a_label(client: Client, exclude: str, q: str) -> None:
    answer = _get(client, q=q, exclude=exclude)
    assert answer["exact"] is None and "Eskimo_dog" not in _names(answer)


def test_leaves_out_the_answer_of_a_prediction(client: Client) -> None:
    answer = _get(client, prediction=stored_prediction().id, exclude="espresso", limit=3)
    assert _names(answer) == ["cup", "coffee_mug", "abacus"]


def test_a_word_that_two_labels_share_means_both(client: Client) -> None:
    """A row of an earlier release says only `crane`."""
    top = [["crane", 0.6], ["cup", 0.3], ["crane", 0.05]]
    prediction = stored_prediction(label="crane", top=top, model_version="efficientnet-lite0@1")
    answer = _get(client, prediction=prediction.id, exclude="crane", limit=3)
    scores = [(choice["label"], choice["score"]) for choice in answer["labels"]]
    assert scores == [("crane (bird)", 0.6), ("crane (machine)", 0.6), ("cup", 0.3)]
    assert [choice["label_id"] for choice in answer["labels"]] == ["n02012849", "n03126707", "n07930864"]


def test_a_shared_word_names_no_label_exactly(client: Client) -> None:
    answer = _get(client, q="crane")
    assert (answer["exact"], _names(answer)) == (None, ["crane (bird)", "crane (machine)"])
    assert _get(client, q="crane (bird)")["exact"] == "crane (bird)"


def test_searches_the_labels_of_the_version_that_answered(client: Client, two_versions: Repository) -> None:
    earlier = stored_prediction(label="whippet", top=[["whippet", 0.9]], model_version="other-net@1").id
    assert _get(client, q="unic", prediction=earlier)["exact"] is None
    assert _names(_get(client, q="unic", prediction=earlier)) == ["unicorn"]
    assert _names(_get(client, q="unicorn", prediction=stored_prediction().id)) == []


def test_rejects_an_unknown_prediction(client: Client) -> None:
    assert _get(client, 404, prediction=uuid4())["code"] == "not-found"


def test_allows_only_get(client: Client) -> None:
    assert client.post("/api/labels").status_code == 405


def test_finds_nothing_without_an_installed_model(
    client: Client, settings: Settings, tmp_path: Path, models: Repository
) -> None:
    settings.MODELS_DIR = tmp_path
    assert _get(client, q="cup") == {"query": "cup", "exact": None, "labels": []}
